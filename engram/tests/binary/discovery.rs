//! Founding members that find each other through another store: ours, and the real etcd's.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{PATIENCE, Process, command, engram, free_ports};
use crate::tls::{etcdctl, flags, started};

/// The words of a member that looks for the others.
fn words(first: Option<&str>, folder: &Path, name: &str, port: u16, more: &str) -> Vec<String> {
    let (client, peer) =
        (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", port + 1));
    let line = format!(
        "--name {name} --data-dir {} --listen-client-urls {client} --advertise-client-urls \
         {client} --listen-peer-urls {peer} --initial-advertise-peer-urls {peer} --log-outputs \
         stderr,{} {more}",
        folder.join(name).display(),
        log_of(folder, name).display(),
    );
    first.into_iter().chain(line.split_whitespace()).map(str::to_owned).collect()
}

fn log_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// A store through which members find each other, for clusters of these sizes by token.
async fn store(peers: &Path, program: &Path, folder: &Path, sizes: &[(&str, &str)]) -> Process {
    let port = free_ports();
    let mut words = flags(&folder.join("registry"), "http", port, "");
    if program == engram() {
        words.insert(0, "server".to_owned());
    }
    let process = started(program, words, port).await;
    for (token, size) in sizes {
        let line = format!(
            "--endpoints http://127.0.0.1:{port} put /_etcd/registry/{token}/_config/size {size}"
        );
        assert_eq!(etcdctl(peers, &line).await.0, 0, "{line}");
    }
    process
}

fn through(store: &Process, token: &str) -> String {
    format!("--discovery-endpoints 127.0.0.1:{} --discovery-token {token}", store.port)
}

/// How a member ends that is not to start, and what it said.
async fn refused(program: &Path, words: &[String]) -> (Option<i32>, String) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = command(program, &words).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn three_members_find_each_other_through_etcd_and_a_fourth_is_told_that_they_are_three() {
    let Some(peers) = programs::peers_with(&["etcd", "etcdctl"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let etcd = peers.join("etcd");
    let sizes = [("three", "3"), ("bad", "many")];
    let mut registry = store(&peers, &etcd, folder.path(), &sizes).await;
    let more = through(&registry, "three");
    let ports = [free_ports(), free_ports(), free_ports()];
    let start = |at: usize| {
        let words = words(Some("server"), folder.path(), &format!("n{at}"), ports[at], &more);
        started(engram(), words, ports[at])
    };
    let (a, b, c) = tokio::join!(start(0), start(1), start(2));
    a.put("k", "1").await;
    assert_eq!(c.get("k").await.as_deref(), Some("1"));
    assert_eq!(a.ids().await.0, b.ids().await.0, "one cluster");
    let line = format!("--endpoints http://127.0.0.1:{} member list", ports[1]);
    assert_eq!(etcdctl(&peers, &line).await.1.lines().count(), 3);

    for (token, wanted) in [
        ("three", "discovery: cluster is full"),
        ("bad", "discovery: size key is bad"),
        ("none", "discovery: size key not found"),
    ] {
        for (program, first) in [(engram(), Some("server")), (etcd.as_path(), None)] {
            let (name, more) = (format!("{token}{}", first.is_some()), through(&registry, token));
            let words = words(first, folder.path(), &name, free_ports(), &more);
            let (code, said) = refused(program, &words).await;
            assert_eq!(code, Some(1), "{token}: {said}");
            assert!(said.contains(wanted), "{program:?} {token}: {said}");
        }
    }

    // Later that store is not needed any more.
    registry.end(Signal::TERM).await;
    let mut members = [a, b, c];
    members[0].kill().await;
    let back = start(0).await;
    assert_eq!(back.get("k").await.as_deref(), Some("1"));
}

/// The members that a log says were found.
async fn found(log: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let said = "discovery joined cluster successfully";
        if let Some(line) = text.lines().find(|line| line.contains(said)) {
            let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
            return line["cluster"].as_str().expect("a text").to_owned();
        }
        assert!(Instant::now() < deadline, "nothing is found in {text}");
        pause.tick().await;
    }
}

#[tokio::test]
async fn members_of_both_programs_find_the_same_cluster_through_either() {
    let Some(peers) = programs::peers_with(&["etcd", "etcdctl"]) else { return };
    let etcd = peers.join("etcd");
    for registry in [etcd.as_path(), engram()] {
        let folder = tempfile::tempdir().expect("a folder");
        let sizes = [("two", "2"), ("one", "1")];
        let registry = store(&peers, registry, folder.path(), &sizes).await;
        let mut running = Vec::new();
        for (name, program, first) in
            [("own", engram(), Some("server")), ("theirs", etcd.as_path(), None)]
        {
            let more = through(&registry, "two");
            let words = words(first, folder.path(), name, free_ports(), &more);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            running.push(command(program, &words).spawn().expect("it starts"));
        }
        let (own, theirs) = (log_of(folder.path(), "own"), log_of(folder.path(), "theirs"));
        let (own, theirs) = (found(&own).await, found(&theirs).await);
        assert_eq!(own, theirs);
        assert_eq!(own.matches("=http://127.0.0.1:").count(), 2, "{own}");

        // The registry's keys are spelled alike: what one wrote the other takes for its own.
        let port = free_ports();
        let more = through(&registry, "one");
        let of_etcd = words(None, folder.path(), "same", port, &more);
        let mut alone = started(&etcd, of_etcd, port).await;
        alone.put("k", "1").await;
        alone.end(Signal::TERM).await;
        let folder = tempfile::tempdir().expect("a folder");
        let of_engram = words(Some("server"), folder.path(), "same", port, &more);
        let again = started(engram(), of_engram, port).await;
        again.put("k", "2").await;
    }
}
