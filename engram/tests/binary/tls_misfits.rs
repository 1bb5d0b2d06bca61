//! Certificates that do not fit: before their time, after it, without a name, for another host; CAs
//! exchanged under a member that runs; keys that everybody may read. Beside the real etcd.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::certificates::{Ca, Files, Says};
use crate::support::{Process, engram, free_ports};
use crate::tls::{client_flags, etcdctl_told, flags, in_the_log, reason, server_flags, started};

/// Engram and the real etcd with the same flags and files.
struct Both {
    peers: PathBuf,
    ports: [u16; 2],
    log: PathBuf,
    _processes: [Process; 2],
}

impl Both {
    async fn start(folder: &Path, name: &str, peers: &Path, more: &str) -> Self {
        let ports = [free_ports(), free_ports()];
        let log = folder.join(format!("{name}.log"));
        let words = |at: usize, whose: &str, more: &str| {
            flags(&folder.join(format!("{name}-{whose}")), "https", ports[at], more)
        };
        let own = format!("{more} --log-outputs stderr,{}", log.display());
        let mut own = words(0, "own", &own);
        own.insert(0, "server".to_owned());
        let etcd = peers.join("etcd");
        let (a, b) = tokio::join!(
            started(engram(), own, ports[0]),
            started(&etcd, words(1, "theirs", more), ports[1])
        );
        Both { peers: peers.to_owned(), ports, log, _processes: [a, b] }
    }

    /// A put: the code, and all that was said.
    async fn ask(&self, port: u16, ca: &Path, client: Option<&Files>) -> (i32, String) {
        let line = client_flags(ca, client);
        let line =
            format!("--endpoints https://127.0.0.1:{port} {line} --command-timeout 3s put a b");
        etcdctl_told(&self.peers, line).await
    }

    /// A put of both: the same code, and the same reason; that reason.
    async fn put(&self, what: &str, ca: &Path, client: Option<&Files>, code: i32) -> String {
        let [ours, theirs] = self.ports.map(|port| self.ask(port, ca, client));
        let (ours, theirs) = tokio::join!(ours, theirs);
        assert_eq!((ours.0, theirs.0), (code, code), "{what}: {ours:?} {theirs:?}");
        assert_eq!(reason(&ours.1), reason(&theirs.1), "{what}: {ours:?} {theirs:?}");
        ours.1
    }
}

#[tokio::test]
async fn members_with_certificates_that_do_not_fit_start_and_are_refused_as_etcd_is() {
    let Some(peers) = programs::peers_with(&["etcd", "etcdctl"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let usual = Says::local("server", 1);
    let rows = [
        ("expired", Says { expired: true, ..usual.clone() }, "has expired or is not yet valid"),
        ("early", Says { early: true, ..usual.clone() }, "has expired or is not yet valid"),
        (
            "nameless",
            Says { hosts: &[], ..usual.clone() },
            "because it doesn't contain any IP SANs",
        ),
        ("elsewhere", Says { hosts: &["10.1.2.3"], ..usual.clone() }, "is valid for 10.1.2.3, not"),
    ];
    let asks = rows.map(|(name, says, told)| {
        let (server, folder, ca, peers) = (ca.sign(name, &says), folder.path(), &ca, &peers);
        async move {
            let both = Both::start(folder, name, peers, &server_flags(&server)).await;
            let text = both.put(name, &ca.file(), None, 1).await;
            assert!(text.contains(told), "{name}: {text}");
            let warned = match name {
                "expired" => "own certificate has expired",
                "early" => "own certificate is not valid yet",
                // It is a file of this test that everybody may read.
                _ => "everybody on this machine may read this key",
            };
            in_the_log(&both.log, warned).await;
        }
    });
    futures::future::join_all(asks).await;
}

#[tokio::test]
async fn clients_with_certificates_that_do_not_fit_are_met_as_by_etcd() {
    let Some(peers) = programs::peers_with(&["etcd", "etcdctl"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (ca, other) = (Ca::new(folder.path(), "ca"), Ca::new(folder.path(), "other"));
    let server = ca.sign("server", &Says::local("server", 1));
    let usual = Says::local("alice", 2);
    let early = ca.sign("early", &Says { early: true, ..usual.clone() });
    // Certificates that stand themselves among the trusted are believed in their time alone.
    let itself = ca.sign("itself", &Says { early: true, ..usual.clone() });
    let gone = ca.sign("gone", &Says { expired: true, ..usual.clone() });
    let trusted = folder.path().join("trusted.pem");
    let believed = [&ca.file(), &itself.cert, &gone.cert];
    let believed = believed.map(|path| std::fs::read(path).expect("read")).concat();
    std::fs::write(&trusted, &believed).expect("written");
    let nameless = ca.sign("nameless", &Says { hosts: &[], ..usual.clone() });
    let elsewhere = ca.sign("elsewhere", &Says { hosts: &["10.1.2.3"], ..usual.clone() });
    let more = format!(
        "{} --trusted-ca-file {} --client-cert-auth",
        server_flags(&server),
        trusted.display()
    );
    let both = Both::start(folder.path(), "clients", &peers, &more).await;
    let rows = [
        ("not yet valid", &early, 1),
        ("trusted itself, and not yet valid", &itself, 1),
        ("trusted itself, and expired", &gone, 1),
        // A client's name is nobody's business here.
        ("without a name", &nameless, 0),
        ("for another host", &elsewhere, 0),
    ];
    let (cacert, strange) = (ca.file(), other.sign("strange", &usual));
    let rows = rows.into_iter().chain([("of a CA to come", &strange, 1)]);
    let puts = rows.map(|(what, client, code)| both.put(what, &cacert, Some(client), code));
    futures::future::join_all(puts).await;
    // Half an exchange changes nothing, on either.
    let good = ca.sign("good", &usual);
    std::fs::write(&trusted, b"-----BEGIN CERT").expect("written");
    both.put("half an exchange", &ca.file(), Some(&good), 0).await;
    // Compat: etcd reads its CAs once, and we read them again: the old one's clients are out.
    std::fs::copy(other.file(), &trusted).expect("copied");
    let asks = [(&strange, [0, 1]), (&good, [1, 0])].map(|(client, codes)| {
        let asked = both.ports.map(|port| both.ask(port, &cacert, Some(client)));
        async move {
            let answers = futures::future::join_all(asked).await;
            let found = [answers[0].0, answers[1].0];
            assert_eq!(found, codes, "{:?}: {answers:?}", client.cert);
        }
    });
    futures::future::join_all(asks).await;
}

#[tokio::test]
async fn keys_that_everybody_may_read_are_warned_about_and_taken_as_by_etcd() {
    let Some(peers) = programs::peers_with(&["etcd", "etcdctl"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let server = ca.sign("server", &Says::local("server", 1));
    let mode = |mode| std::fs::set_permissions(&server.key, PermissionsExt::from_mode(mode));
    mode(0o644).expect("set");
    let both = Both::start(folder.path(), "open", &peers, &server_flags(&server)).await;
    both.put("an open key", &ca.file(), None, 0).await;
    let line = in_the_log(&both.log, "everybody on this machine may read this key").await;
    assert!(line.contains(r#""mode":"644""#), "{line}");
    mode(0o600).expect("set");
    let both = Both::start(folder.path(), "closed", &peers, &server_flags(&server)).await;
    both.put("a key of its own", &ca.file(), None, 0).await;
    let log = std::fs::read_to_string(&both.log).expect("read");
    assert!(!log.contains("may read this key"), "{log}");
}
