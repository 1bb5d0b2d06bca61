//! Where the binary listens: unix sockets among peers, shared ports, the profiler's pages; beside
//! the real etcd where both can be asked.

use std::path::Path;
use std::process::ExitStatus;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{PATIENCE, Process, command, engram, free_ports};
use crate::tls::{etcdctl, flags, started};

/// A member whose peers are reached at `peers[at]`.
async fn member(folder: &Path, at: usize, peers: &[String], more: &str) -> Process {
    let port = free_ports();
    let cluster: Vec<String> =
        peers.iter().enumerate().map(|(at, url)| format!("n{at}={url}")).collect();
    let line = format!(
        "server --name n{at} --data-dir {} --listen-client-urls http://127.0.0.1:{port} \
         --advertise-client-urls http://127.0.0.1:{port} --listen-peer-urls {url} \
         --initial-advertise-peer-urls {url} --initial-cluster {} {more}",
        folder.join(format!("n{at}")).display(),
        cluster.join(","),
        url = peers[at],
    );
    started(engram(), line.split_whitespace().map(str::to_owned).collect(), port).await
}

async fn a_quorum_over(scheme: &str, more: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = |at: usize| folder.path().join(format!("{at}.sock"));
    let peers: Vec<String> =
        (0..3).map(|at| format!("{scheme}://{}", socket(at).display())).collect();
    let starts = (0..3).map(|at| member(folder.path(), at, &peers, more));
    let mut members = futures::future::join_all(starts).await;
    members[0].put("a", "1").await;
    assert_eq!(members[2].get("a").await.as_deref(), Some("1"));
    let at = crate::quorum::leader(&members).await;
    // Its socket's file stays behind, and must not keep it from coming back.
    members[at].kill().await;
    assert!(socket(at).exists(), "a killed member leaves its file");
    let others: Vec<Process> = members
        .into_iter()
        .enumerate()
        .filter_map(|(index, member)| (index != at).then_some(member))
        .collect();
    crate::quorum::leader(&others).await;
    others[0].put("a", "2").await;
    let mut back = member(folder.path(), at, &peers, more).await;
    assert_eq!(back.get("a").await.as_deref(), Some("2"));
    let (status, _) = back.end(Signal::TERM).await;
    assert!(status.success() && !socket(at).exists(), "{status}: and takes it away at its end");
}

#[tokio::test]
async fn peers_meet_over_unix_sockets() {
    a_quorum_over("unix", "").await;
}

#[tokio::test]
async fn peers_meet_over_unix_sockets_with_tls() {
    a_quorum_over("unixs", "--peer-auto-tls").await;
}

/// Compat: host and path of the URL together are the file's name, from where the program stands.
#[tokio::test]
async fn a_socket_without_a_path_is_a_file_where_the_program_stands_as_with_etcd() {
    let Some(peers) = programs::peers_with(&["etcd", "etcdctl"]) else { return };
    let etcd = peers.join("etcd");
    for (program, first) in [(engram(), Some("server")), (etcd.as_path(), None)] {
        let folder = tempfile::tempdir().expect("a folder");
        let line = "--name n --data-dir data --listen-client-urls unix://localhost:1 \
                    --advertise-client-urls unix://localhost:1 --listen-peer-urls \
                    unix://localhost:2 --initial-advertise-peer-urls unix://localhost:2 \
                    --initial-cluster n=unix://localhost:2";
        let words: Vec<&str> = first.into_iter().chain(line.split_whitespace()).collect();
        let mut command = command(program, &words);
        let child = command.current_dir(folder.path()).spawn().expect("it starts");
        let mut process = Process::said(child, 0, "ready to serve client requests").await;
        let socket = |name: &str| folder.path().join(name);
        assert!(socket("localhost:1").exists() && socket("localhost:2").exists());
        let endpoint = format!("--endpoints unix://{}", socket("localhost:1").display());
        let put = etcdctl(&peers, &format!("{endpoint} put a 1")).await;
        assert_eq!(put, (0, "OK\n".to_owned()), "{program:?}");
        let list = etcdctl(&peers, &format!("{endpoint} member list")).await.1;
        assert!(list.contains("unix://localhost:2, unix://localhost:1"), "{program:?}: {list}");
        process.end(Signal::TERM).await;
    }
}

/// Starts a member that cannot have its port: how it ended and what it said.
async fn refused(program: &Path, words: &[String]) -> (ExitStatus, String) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = command(program, &words).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").expect("it runs");
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_port_is_shared_only_by_those_that_both_want_it_as_with_etcd() {
    let Some(peers) = programs::peers_with(&["etcd"]) else { return };
    let etcd = peers.join("etcd");
    for (program, first) in [(engram(), Some("server")), (etcd.as_path(), None)] {
        let folder = tempfile::tempdir().expect("a folder");
        let (port, other) = (free_ports(), free_ports());
        let words = |name: &str, peer: u16, more: &str| {
            let mut words: Vec<String> = first.map(str::to_owned).into_iter().collect();
            words.extend(flags(&folder.path().join(name), "http", port, more));
            // Another peer port: the client port alone is shared.
            let peer = format!("http://127.0.0.1:{peer}");
            for flag in ["listen-peer-urls", "initial-advertise-peer-urls"] {
                words.push(format!("--{flag}={peer}"));
            }
            words.push(format!("--initial-cluster=n={peer}"));
            words
        };
        let share = "--socket-reuse-port --socket-reuse-address";
        let mut one = started(program, words("one", port + 1, share), port).await;
        let (status, said) = refused(program, &words("two", other + 1, "")).await;
        assert_eq!(status.code(), Some(1), "{program:?}: {said}");
        assert!(said.contains("address already in use"), "{program:?}: {said}");
        assert!(said.contains(&port.to_string()), "{program:?}: the port is named: {said}");
        let mut two = started(program, words("two", other + 1, share), port).await;
        one.end(Signal::TERM).await;
        // What is left of the port is the second's.
        two.put("a", "1").await;
        assert_eq!(two.get("a").await.as_deref(), Some("1"), "{program:?}");
        two.end(Signal::TERM).await;
    }
}

async fn page(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or_else(|| panic!("no status: {answer}")), body.to_owned())
}

#[tokio::test]
async fn the_profilers_pages_are_there_when_asked_for_and_say_what_they_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |name: &'static str, more: &'static str| {
        let port = free_ports();
        let mut words = flags(&folder.path().join(name), "http", port, more);
        words.insert(0, "server".to_owned());
        started(engram(), words, port)
    };
    let (on, off) = tokio::join!(start("on", "--enable-pprof"), start("off", ""));
    let (status, line) = page(on.port, "/debug/pprof/cmdline").await;
    assert_eq!(status, 200);
    assert!(line.contains("--enable-pprof"), "{line}");
    let (status, index) = page(on.port, "/debug/pprof/").await;
    assert!(status == 200 && index.contains("use perf"), "{index}");
    let (status, said) = page(on.port, "/debug/pprof/heap").await;
    assert!(status == 501 && said.contains("no Go runtime"), "{said}");
    assert_eq!(page(on.port, "/debug/pprof/nothing").await.0, 404);
    for path in ["/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap"] {
        assert_eq!(page(off.port, path).await.0, 404, "{path}");
    }
}
