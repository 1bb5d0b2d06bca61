//! `engram dev` as a person meets it.

use std::time::Duration;

use crate::support::{Process, free_ports, run};
use rustix::process::Signal;

const END_WITHIN: Duration = Duration::from_millis(1500);

/// What every ready text promises.
fn is_short_and_honest(text: &str, data_dir: &str) {
    assert!(text.lines().count() <= 22, "{text}");
    assert!(text.contains(data_dir), "it says where the data is:\n{text}");
    assert!(text.contains("not for production"), "{text}");
    assert!(!text.contains("{\""), "no log line:\n{text}");
    let last = text.lines().last().expect("not empty");
    assert!(last.starts_with("  engram ctl"), "it ends with lines to copy:\n{text}");
}

#[tokio::test]
async fn one_member_is_ready_says_so_and_ends_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let (mut dev, text) = Process::dev(&data_dir, free_ports(), &[]).await;
    is_short_and_honest(&text, &data_dir.display().to_string());
    dev.put("greeting", "hello").await;
    assert_eq!(dev.get("greeting").await.as_deref(), Some("hello"));
    let (status, took) = dev.end(Signal::INT).await;
    assert!(status.success(), "{status}");
    assert!(took < END_WITHIN, "{took:?}");
    let log = std::fs::read_to_string(data_dir.join("n1.log")).expect("a log file");
    assert!(log.lines().all(|line| line.starts_with('{')), "JSON lines:\n{log}");
    assert!(log.contains("ready to serve client requests"), "{log}");
}

#[tokio::test]
async fn the_lines_to_copy_work() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dev, text) = Process::dev(folder.path(), free_ports(), &[]).await;
    dev.put("greeting", "hello").await;
    let line = text.lines().last().expect("a line").trim();
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    let (code, out, error) = run(&words).await;
    assert_eq!(code, 0, "{line}: {error}");
    assert!(out.contains("hello"), "{out}");
}

#[tokio::test]
async fn a_quorum_runs_as_children_and_ends_with_its_parent() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut dev, text) = Process::dev(folder.path(), free_ports(), &["--nodes", "3"]).await;
    is_short_and_honest(&text, &folder.path().display().to_string());
    dev.put("a", "1").await;
    let first = dev.port;
    for port in [first + 100, first + 200] {
        dev.port = port;
        assert_eq!(dev.get("a").await.as_deref(), Some("1"), "member at {port}");
    }
    let (status, _) = dev.end(Signal::TERM).await;
    assert!(status.success(), "{status}");
    for port in [first, first + 100, first + 200] {
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err(), "{port} is closed");
    }
}

#[tokio::test]
async fn children_end_when_their_parent_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut dev, _) = Process::dev(folder.path(), free_ports(), &["--nodes", "3"]).await;
    dev.kill().await;
    let mut pause = tokio::time::interval(Duration::from_millis(20));
    let all_closed = async {
        while std::net::TcpStream::connect(("127.0.0.1", dev.port)).is_ok() {
            pause.tick().await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, all_closed).await.expect("the member ends");
}

#[tokio::test]
async fn ephemeral_data_is_gone_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let (mut dev, text) = Process::dev(&data_dir, free_ports(), &["--ephemeral"]).await;
    assert!(text.contains("removed at the end"), "{text}");
    let (status, _) = dev.end(Signal::INT).await;
    assert!(status.success(), "{status}");
    assert!(!data_dir.exists());
}

#[tokio::test]
async fn a_taken_port_or_folder_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (dev, _) = Process::dev(folder.path(), free_ports(), &[]).await;
    let (port, other) = (dev.port.to_string(), free_ports().to_string());
    let elsewhere = folder.path().join("elsewhere").display().to_string();
    let (code, _, error) = run(&["dev", "--client-port", &port, "--data-dir", &elsewhere]).await;
    assert_eq!(code, 1);
    let text = format!(
        "cannot listen on http://127.0.0.1:{port} (--listen-client-urls): listen tcp \
         127.0.0.1:{port}: bind: address already in use"
    );
    assert!(error.contains(&text), "{error}");
    let data_dir = folder.path().display().to_string();
    let (code, _, error) = run(&["dev", "--client-port", &other, "--data-dir", &data_dir]).await;
    assert_eq!(code, 1);
    assert!(error.contains("it is in use by another process"), "{error}");
}
