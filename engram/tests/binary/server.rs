//! `engram server` as a driver of etcd binaries meets it.

use std::collections::BTreeMap;
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Process, command, engram, free_ports, run};
use futures::stream::{self, StreamExt as _};
use proto::etcdserverpb as pb;
use rustix::process::Signal;
use tokio::sync::Mutex;

const END_WITHIN: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn everything_acknowledged_is_there_after_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let mut server = Process::server(engram(), &["server"], folder.path(), port).await;
    for at in 0..100 {
        server.put(&format!("k{at}"), &at.to_string()).await;
    }
    let grant = pb::LeaseGrantRequest { id: 7, ttl: 1000 };
    server.lease().await.lease_grant(grant).await.expect("granted");
    server.kill().await;
    let server = Process::server(engram(), &["server"], folder.path(), port).await;
    for at in 0..100 {
        assert_eq!(server.get(&format!("k{at}")).await, Some(at.to_string()));
    }
    let leases = server.lease().await.lease_leases(pb::LeaseLeasesRequest {}).await;
    assert_eq!(leases.expect("listed").into_inner().leases.len(), 1);
    let watched = pb::WatchRequest {
        request_union: Some(pb::watch_request::RequestUnion::CreateRequest(
            pb::WatchCreateRequest { key: "k0".into(), start_revision: 2, ..Default::default() },
        )),
    };
    let requests = stream::once(ready(watched)).chain(stream::pending());
    let mut answers = server.watch().await.watch(requests).await.expect("opened").into_inner();
    assert!(answers.message().await.expect("no error").expect("an answer").created);
    let events = answers.message().await.expect("no error").expect("an answer").events;
    assert_eq!(events[0].kv.as_ref().expect("a value").mod_revision, 2, "the past is there");
}

#[tokio::test]
async fn a_stop_under_load_loses_nothing_and_is_quick() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let mut server = Process::server(engram(), &["server"], folder.path(), port).await;
    let acknowledged: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
    let mut writers = Vec::new();
    for writer in 0..8 {
        let (mut kv, acknowledged) = (server.kv().await, Arc::clone(&acknowledged));
        writers.push(tokio::spawn(async move {
            for at in 0u64.. {
                let key = format!("w{writer}");
                let request = pb::PutRequest {
                    key: key.clone().into(),
                    value: at.to_string().into(),
                    ..Default::default()
                };
                if kv.put(request).await.is_err() {
                    return;
                }
                acknowledged.lock().await.insert(key, at);
            }
        }));
    }
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    while acknowledged.lock().await.len() < 8 {
        pause.tick().await;
    }
    let (status, took) = server.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
    assert!(took < END_WITHIN, "{took:?}");
    for writer in writers {
        writer.await.expect("it ends with the server");
    }
    let server = Process::server(engram(), &["server"], folder.path(), port).await;
    for (key, at) in acknowledged.lock().await.iter() {
        let found: u64 = server.get(key).await.expect("there").parse().expect("a number");
        assert!(found >= *at, "{key}: {found} < {at}");
    }
}

#[tokio::test]
async fn called_etcd_it_behaves_as_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let etcd = folder.path().join("etcd");
    std::os::unix::fs::symlink(engram(), &etcd).expect("a link");
    let output = command(&etcd, &["--version"]).output().await.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text.lines().next(), Some("etcd Version: 3.7.3"));
    let data_dir = folder.path().join("data");
    let server =
        Process::server(&etcd, &["--snapshot-count", "10000"], &data_dir, free_ports()).await;
    server.put("a", "1").await;
    assert!(data_dir.join("member").is_dir());
}

#[tokio::test]
async fn wrong_lines_end_with_code_2_and_a_reason() {
    let rows: [(&[&str], &str); 3] = [
        (
            &["server", "--data-dri", "x"],
            "flag provided but not defined: -data-dri; did you mean --data-dir?",
        ),
        (&["server", "gateway", "start"], "`gateway` is refused"),
        (&["sever"], "`sever` is no command; did you mean `engram server`?"),
    ];
    for (words, reason) in rows {
        let (code, out, error) = run(words).await;
        assert_eq!((code, out.as_str()), (2, ""), "{words:?}");
        assert!(error.contains(reason), "{words:?}: {error}");
    }
}

#[tokio::test]
async fn the_versions_and_the_help_are_told() {
    let (code, out, _) = run(&["version"]).await;
    assert_eq!((code, out.as_str()), (0, "engram 0.1.0 (etcd API 3.7.3)\n"));
    for words in [&["help"][..], &["--help"], &[], &["server", "--help"], &["dev", "--help"]] {
        let (code, out, _) = run(words).await;
        assert_eq!(code, 0, "{words:?}");
        assert!(out.contains("Usage"), "{words:?}: {out}");
    }
}

#[tokio::test]
async fn a_restarted_member_keeps_its_identity_and_data_whatever_the_founding_flags_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = Process::server(engram(), &["server"], folder.path(), free_ports()).await;
    server.put("a", "1").await;
    let before = server.ids().await;
    server.end(Signal::TERM).await;
    // Other ports, so another --initial-cluster.
    let server = Process::server(engram(), &["server"], folder.path(), free_ports()).await;
    assert_eq!(server.ids().await, before);
    assert_eq!(server.get("a").await.as_deref(), Some("1"));
}
