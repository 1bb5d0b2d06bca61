//! `engram ctl` as a person and a script meet it: keys, formats, errors, contexts.

use std::path::Path;
use std::process::Stdio;

use crate::support::{PATIENCE, Process, command, engram, free_ports, run};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// A server and the endpoint flag of it.
pub(crate) async fn server(folder: &Path) -> (Process, String) {
    let port = free_ports();
    let server = Process::server(engram(), &["server"], &folder.join("data"), port).await;
    (server, format!("--endpoints=127.0.0.1:{port}"))
}

/// Runs `engram ctl` well; its standard output.
pub(crate) async fn ctl(endpoints: &str, line: &str) -> String {
    let words: Vec<&str> = ["ctl", endpoints].into_iter().chain(line.split(' ')).collect();
    let (code, out, error) = run(&words).await;
    assert_eq!(code, 0, "{line}: {error}");
    out
}

#[tokio::test]
async fn what_is_put_is_shown_in_every_format() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, at) = server(folder.path()).await;
    assert_eq!(ctl(&at, "put greeting hello").await, "OK, revision 2\n");
    assert_eq!(ctl(&at, "put greeting hello -o simple").await, "OK\n");
    assert_eq!(ctl(&at, "get greeting -o simple").await, "greeting\nhello\n");
    assert_eq!(
        ctl(&at, "get greeting --hex -w simple").await.lines().nth(1),
        Some("\\x68\\x65\\x6c\\x6c\\x6f")
    );
    let table = ctl(&at, "get greeting").await;
    assert_eq!(table.lines().next(), Some("KEY       VALUE  CREATED  MODIFIED  VERSION  LEASE"));
    assert_eq!(table.lines().nth(1), Some("greeting  hello  2        3         2        -"));
    let json = ctl(&at, "get greeting -w json").await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("a document");
    assert_eq!(json["kvs"][0]["value"], "aGVsbG8=");
    assert_eq!(json["header"]["revision"], 3);
    assert!(ctl(&at, "get greeting -o yaml").await.contains("value: aGVsbG8="));
    assert_eq!(ctl(&at, "get greeting --print-value-only").await, "hello\n");
    assert_eq!(ctl(&at, "get --prefix g --count-only").await, "1\n");
}

#[tokio::test]
async fn control_bytes_of_data_are_escaped_in_a_table_and_raw_in_a_pipe() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, at) = server(folder.path()).await;
    ctl(&at, "put evil \u{1b}[2J\u{202e}x").await;
    let table = ctl(&at, "get evil").await;
    assert!(table.contains("\\x1b[2J\\u{202e}x") && !table.contains('\u{1b}'), "{table:?}");
    assert_eq!(ctl(&at, "get evil -o simple").await, "evil\n\u{1b}[2J\u{202e}x\n");
}

#[tokio::test]
async fn a_transaction_and_a_value_are_read_from_standard_input() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, at) = server(folder.path()).await;
    let typed = async |words: &[&str], text: &str| {
        let mut child = command(engram(), words).stdin(Stdio::piped()).spawn().expect("it starts");
        let mut input = child.stdin.take().expect("piped");
        input.write_all(text.as_bytes()).await.expect("read");
        drop(input);
        let output = child.wait_with_output().await.expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, _) = typed(&["ctl", &at, "put", "typed"], "two\nlines").await;
    assert_eq!(code, Some(0));
    assert_eq!(ctl(&at, "get typed -o simple").await, "typed\ntwo\nlines\n");
    let text = "ver(\"k\") = \"0\"\n\nput k \"a b\"\nget k\n\nget k --keys-only\n\n";
    let (code, out) = typed(&["ctl", &at, "txn", "-o", "simple"], text).await;
    assert_eq!((code, out.as_str()), (Some(0), "SUCCESS\n\nOK\n\nk\na b\n"));
    let (code, out) = typed(&["ctl", &at, "txn", "-i"], "no compare\n\n\n\n").await;
    assert_eq!((code, out.as_str()), (Some(3), "compares:\n"), "and nothing was sent");
}

#[tokio::test]
async fn segments_are_listed_with_their_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, at) = server(folder.path()).await;
    for number in 0..1200 {
        server.put(&format!("/app/many/{number:04}"), "x").await;
    }
    for key in ["/app/one", "/other/a/b", "plain"] {
        server.put(key, "x").await;
    }
    let root = ctl(&at, "ls").await;
    assert_eq!(
        root.lines().skip(1).collect::<Vec<_>>(),
        ["/app/    1201", "/other/  1", "plain", "1203 keys"]
    );
    let app = ctl(&at, "ls /app/").await;
    assert_eq!(
        app.lines().skip(1).collect::<Vec<_>>(),
        ["/app/many/  1200", "/app/one", "1201 keys"]
    );
    let cut = ctl(&at, "ls / --depth 3 --limit 10").await;
    assert_eq!(cut.lines().count(), 13, "header, ten lines, the cut and the sum:\n{cut}");
}

#[tokio::test]
async fn a_watch_prints_changes_and_ends_when_its_start_is_compacted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, at) = server(folder.path()).await;
    server.put("k", "1").await;
    server.put("k", "2").await;
    let words = ["ctl", &at, "watch", "k", "--rev", "2", "--prev-kv"];
    let mut child = command(engram(), &words).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time");
        seen.push(line.expect("text").expect("a line"));
    }
    assert_eq!(seen, ["PUT            2  k = 1", "PUT            3  k = 2  (was 1)"]);
    child.kill().await.expect("it can be ended");
    ctl(&at, "compaction 3").await;
    let (code, _, error) = run(&["ctl", &at, "watch", "k", "--rev", "2"]).await;
    assert_eq!(code, 5, "{error}");
    assert!(error.contains("E-CTL-051") && error.contains("the oldest revision to be had is 3"));
}

#[tokio::test]
async fn a_lock_runs_its_command_and_passes_its_code_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, at) = server(folder.path()).await;
    let words =
        ["ctl", &at, "lock", "name", "/bin/sh", "-c", "echo $ETCD_LOCK_KEY $ETCD_LOCK_REV; exit 7"];
    let (code, out, error) = run(&words).await;
    assert_eq!(code, 7, "{error}");
    assert!(out.starts_with("name/") && out.trim_end().ends_with(" 2"), "{out}");
    assert_eq!(ctl(&at, "get --prefix name/ --count-only").await, "0\n", "it is unlocked");
    assert_eq!(ctl(&at, "lease list").await, "no leases\n");
}

#[tokio::test]
async fn errors_carry_an_id_the_cause_and_the_next_step() {
    let rows: [(&[&str], i32, &str); 6] = [
        (&["get", "k", "--endpoints", "127.0.0.1:1"], 2, "E-CTL-010"),
        (&["get", "k", "--prefix", "--from-key"], 128, "E-CTL-001"),
        (&["gut", "k"], 128, "E-CTL-001"),
        (&["get", "k", "--discovery-srv", "example.org"], 4, "E-CTL-003"),
        (&["get", "k", "--context", "none"], 128, "E-CTL-004"),
        (&["get", "k", "--cacert", "/nonexistent"], 128, "E-CTL-012"),
    ];
    for (words, expected, id) in rows {
        let words: Vec<_> = ["ctl"].into_iter().chain(words.iter().copied()).collect();
        let output = command(engram(), &words)
            .env("ENGRAM_CONTEXTS", "/nonexistent/contexts.json")
            .output()
            .await
            .expect("it runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(expected), "{words:?}: {error}");
        assert!(error.starts_with("Error: "), "{error}");
        for part in [id, "\n  cause  ", "\n  next   "] {
            assert!(error.contains(part), "{words:?}: {error}");
        }
    }
}

#[tokio::test]
async fn a_password_is_in_no_error_and_in_no_help() {
    for words in [
        ["ctl", "get", "k", "--user", "root:hunter2", "--endpoints", "127.0.0.1:1"],
        ["ctl", "get", "k", "--user", "root:hunter2", "--endpoints", "nowhere"],
    ] {
        let (code, out, error) = run(&words).await;
        assert_ne!(code, 0);
        assert!(!format!("{out}{error}").contains("hunter2"), "{error}");
    }
    let output = command(engram(), &["ctl", "get", "--help"])
        .env("ETCDCTL_PASSWORD", "hunter2")
        .output()
        .await
        .expect("it runs");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hunter2"));
}

#[tokio::test]
async fn a_context_names_the_endpoints_until_a_flag_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, at) = server(folder.path()).await;
    server.put("k", "v").await;
    let file = folder.path().join("config/contexts.json");
    let with = async |line: &str| {
        let words: Vec<_> = ["ctl"].into_iter().chain(line.split(' ')).collect();
        let output =
            command(engram(), &words).env("ENGRAM_CONTEXTS", &file).output().await.expect("runs");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(with(&format!("context set here {at}")).await.0, Some(0));
    assert_eq!(with("context set gone --endpoints 127.0.0.1:1").await.0, Some(0));
    assert_eq!(
        with("get k -o simple").await,
        (Some(0), "k\nv\n".to_owned()),
        "the first is current"
    );
    assert_eq!(with("get k --context gone").await.0, Some(2));
    assert_eq!(with("context use gone").await.0, Some(0));
    assert_eq!(with("get k").await.0, Some(2));
    assert_eq!(with(&format!("get k -o simple {at}")).await.1, "k\nv\n", "a flag beats it");
    let listed = with("context list").await.1;
    assert!(listed.lines().any(|line| line.starts_with("*  gone")), "{listed}");
    assert_eq!(with("context delete gone").await.0, Some(0));
    assert_eq!(with("context delete gone").await.0, Some(128));
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn completions_and_man_pages_are_made_of_all_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, error) = run(&["completions", shell]).await;
        assert_eq!(code, 0, "{error}");
        for word in ["grant-permission", "initial-cluster-state", "kube-port"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completions", "csh"]).await.0, 2);
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("man1").display().to_string();
    let (code, out, error) = run(&["man", &place]).await;
    assert_eq!(code, 0, "{error}");
    assert!(out.contains(" pages written to "), "{out}");
    for page in ["engram.1", "engram-server.1", "engram-ctl-doctor.1", "engram-util-verify.1"] {
        let text = std::fs::read_to_string(folder.path().join("man1").join(page));
        assert!(text.expect(page).contains(".TH "), "{page}");
    }
}
