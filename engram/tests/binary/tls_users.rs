//! Who a client certificate makes its owner, and who is none any more, beside the real etcd.

use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

use crate::certificates::{Ca, Files, Says};
use crate::support::{PATIENCE, Process, engram, free_ports};
use crate::tls::{client_flags, dial, etcdctl, flags, in_the_log, server_flags, started};

/// Engram and the real etcd with the same flags, a log file each.
struct Both {
    peers: PathBuf,
    ports: [u16; 2],
    logs: [PathBuf; 2],
    _processes: [Process; 2],
}

impl Both {
    async fn start(folder: &Path, more: &str) -> Option<Self> {
        let peers = programs::peers_with(&["etcd", "etcdctl"])?;
        let ports = [free_ports(), free_ports()];
        let logs = ["own.log", "theirs.log"].map(|name| folder.join(name));
        let words = |at: usize, name: &str| {
            let more = format!("{more} --log-outputs stderr,{}", logs[at].display());
            flags(&folder.join(name), "https", ports[at], &more)
        };
        let mut own = words(0, "own");
        own.insert(0, "server".to_owned());
        let etcd = peers.join("etcd");
        let (a, b) = tokio::join!(
            started(engram(), own, ports[0]),
            started(&etcd, words(1, "theirs"), ports[1])
        );
        Some(Both { peers, ports, logs, _processes: [a, b] })
    }

    /// One line of etcdctl to both: the exit code and the last line of what was said.
    async fn ask(&self, who: &str, line: &str) -> [(i32, String); 2] {
        let ask = |port: u16| {
            let line = format!(
                "--endpoints https://127.0.0.1:{port} {who} --dial-timeout 2s --command-timeout \
                 3s {line}"
            );
            async move {
                let (code, text) = etcdctl(&self.peers, &line).await;
                (code, text.lines().last().unwrap_or_default().to_owned())
            }
        };
        let [own, theirs] = self.ports;
        tokio::join!(ask(own), ask(theirs)).into()
    }

    /// The same line with the same answer of both; that answer.
    async fn equal(&self, who: &str, line: &str) -> (i32, String) {
        let [own, theirs] = self.ask(who, line).await;
        assert_eq!(own, theirs, "{line}");
        own
    }
}

#[tokio::test]
async fn the_common_name_of_a_certificate_is_a_user_as_with_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let server = ca.sign("server", &Says::local("", 1));
    let more = format!(
        "{} --trusted-ca-file {} --client-cert-auth",
        server_flags(&server),
        ca.file().display()
    );
    let Some(both) = Both::start(folder.path(), &more).await else { return };
    let sign =
        |name: &'static str, serial| ca.sign(&format!("cn-{name}"), &Says::local(name, serial));
    let nameless = ca.sign("nameless", &Says::local("", 5));
    let files = [sign("root", 2), sign("alice", 3), sign("nobody", 4), nameless];
    let [root, alice, nobody, nameless] =
        files.clone().map(|files| client_flags(&ca.file(), Some(&files)));
    for line in [
        "role add reader",
        "role grant-permission reader readwrite allowed/ --prefix",
        "user add alice --no-password",
        "user grant-role alice reader",
        "user add root:secret",
        "user grant-role root root",
        "put other 1",
        "auth enable",
    ] {
        assert_eq!(both.equal(&alice, line).await.0, 0, "{line}");
    }
    let rows: [(&str, &str, i32, &str); 19] = [
        (&alice, "put allowed/a 1", 0, "OK"),
        (&alice, "get allowed/a --print-value-only", 0, "1"),
        (&alice, "put other 2", 1, "permission denied"),
        (&alice, "get other", 1, "permission denied"),
        (&alice, "get allowed/ other", 1, "permission denied"),
        (&alice, "del allowed/ --prefix --prev-kv", 0, "1"),
        (&alice, "user list", 1, "permission denied"),
        (&alice, "user get alice", 0, "Roles: reader"),
        (&alice, "user passwd alice --interactive=false", 1, ""),
        (&alice, "watch other", 5, "watch is canceled by the server"),
        (&alice, "--user root:secret get other --print-value-only", 0, "1"),
        (&root, "get other --print-value-only", 0, "1"),
        (&nobody, "get allowed/a", 1, "permission denied"),
        (&nameless, "get allowed/a", 1, "permission denied"),
        (&nameless, "put allowed/a 1", 1, "permission denied"),
        (&nameless, "user list", 1, "user name is empty"),
        (&nameless, "user get alice", 1, "user name is empty"),
        (&nameless, "lease timetolive 123", 0, "already expired"),
        (&nameless, "--user root:secret get other --print-value-only", 0, "1"),
    ];
    for (who, line, code, holds) in rows {
        let said = both.equal(who, line).await;
        assert!(said.0 == code && said.1.contains(holds), "{line}: {said:?}");
    }
    for port in both.ports {
        assert_eq!(watched(&both, port, &alice).await, ["PUT", "allowed/w", "1"]);
        let (status, body) = range_by_json(port, &ca, &files[1]).await;
        assert_eq!(status, "HTTP/1.1 400 Bad Request", "{port}: {body}");
        let told = "CommonName of client sending a request against gateway will be ignored";
        assert!(body.contains(told), "{port}: {body}");
    }
}

/// What a watch of alice's sees of a put of hers.
async fn watched(both: &Both, port: u16, who: &str) -> Vec<String> {
    both.equal(who, "put allowed/w 1").await;
    let line =
        format!("--endpoints https://127.0.0.1:{port} {who} watch allowed/w --prefix --rev 2");
    let mut watch = Command::new(both.peers.join("etcdctl"));
    watch.args(line.split_whitespace()).env_clear().kill_on_drop(true);
    let mut watch = watch.stdout(std::process::Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time");
        seen.push(line.expect("text").expect("it goes on"));
    }
    watch.kill().await.expect("it can be killed");
    seen
}

/// Asks the JSON gateway with a user's certificate: the first line and the body.
async fn range_by_json(port: u16, ca: &Ca, files: &Files) -> (String, String) {
    let mut stream = dial(port, ca, Some(files), b"http/1.1").await.expect("let in");
    let body = r#"{"key":"YWxsb3dlZC9h"}"#;
    let request = format!(
        "POST /v3/kv/range HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n\
         {body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // An end without a closing alert is an end too.
    drop(stream.read_to_end(&mut answer).await);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

#[tokio::test]
async fn without_a_list_of_the_revoked_nobody_is_let_in_as_with_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let server = ca.sign("server", &Says::local("server", 1));
    let list = ca.revoke(&[66]);
    let more = format!(
        "{} --trusted-ca-file {} --client-cert-auth --client-crl-file {}",
        server_flags(&server),
        ca.file().display(),
        list.display()
    );
    let Some(both) = Both::start(folder.path(), &more).await else { return };
    let good = client_flags(&ca.file(), Some(&ca.sign("good", &Says::local("good", 2))));
    let put = |code: i32, what: &'static str| {
        let (both, good) = (&both, &good);
        async move {
            let [own, theirs] = both.ask(good, "put a b").await;
            assert_eq!((own.0, theirs.0), (code, code), "{what}: {own:?} {theirs:?}");
        }
    };
    put(0, "the list names another").await;
    let aside = list.with_extension("aside");
    std::fs::rename(&list, &aside).expect("renamed");
    put(1, "the list is gone").await;
    let reason = format!("open {}: no such file or directory", list.display());
    for log in &both.logs {
        let line = in_the_log(log, &reason).await;
        assert!(line.contains(r#""msg":"rejected connection on client endpoint""#), "{line}");
        assert!(line.contains(r#""level":"warn""#), "{line}");
        assert!(line.contains(&format!(r#""error":"{reason}""#)), "{line}");
    }
    std::fs::rename(&aside, &list).expect("renamed");
    put(0, "the list is back").await;
    std::fs::write(&list, b"half a list").expect("written");
    put(1, "the list cannot be read").await;
    // Also while something else is wrong with the files: a key that does not fit.
    let key = std::fs::read(&server.key).expect("read");
    ca.revoke(&[2]);
    put(1, "the list names this one").await;
    ca.sign("server", &Says::local("server", 7));
    std::fs::write(&server.key, key).expect("written");
    let [own, _] = both.ask(&good, "put a b").await;
    assert_eq!(own.0, 1, "revoked while a certificate is being exchanged: {own:?}");
    ca.sign("server", &Says::local("server", 8));
    ca.revoke(&[]);
    put(0, "the list names nobody").await;
}
