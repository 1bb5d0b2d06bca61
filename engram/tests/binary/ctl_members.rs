//! `engram ctl` for those who run clusters: `top`, `doctor`, `member replace`, beside members that
//! are down.

use std::time::Instant;

use crate::ctl::server;
use crate::quorum::quorum;
use crate::support::{PATIENCE, Process, run};

/// Three members of one cluster, and the flag with all their endpoints.
async fn three(folder: &std::path::Path) -> (Vec<Process>, String) {
    let members = quorum(folder, 3).await;
    let urls: Vec<_> = members.iter().map(|member| format!("127.0.0.1:{}", member.port)).collect();
    (members, format!("--endpoints={}", urls.join(",")))
}

/// Runs a verb again until its output is as wanted: elections take their time.
async fn until(endpoints: &str, line: &str, wanted: impl Fn(&str) -> bool) -> String {
    let words: Vec<&str> = ["ctl", endpoints].into_iter().chain(line.split(' ')).collect();
    let began = Instant::now();
    loop {
        let (_, out, error) = run(&words).await;
        if wanted(&out) {
            return out;
        }
        assert!(began.elapsed() < PATIENCE, "{line}: {out}{error}");
    }
}

#[tokio::test]
async fn top_and_doctor_show_a_member_that_is_down_beside_those_that_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut members, at) = three(folder.path()).await;
    members[0].put("k", "v").await;
    let top = "top --once --interval 100ms";
    let all = "3 of 3 voters answer, quorum 2, can lose 1";
    let picture = until(&at, top, |out| out.contains(all)).await;
    assert_eq!(picture.matches("follower").count(), 2, "{picture}");
    members[2].kill().await;
    let two = "2 of 3 voters answer, quorum 2, can lose 0";
    let picture = until(&at, top, |out| out.contains(two)).await;
    assert!(picture.contains("DOWN"), "{picture}");
    let json = until(&at, "top --once --interval 100ms -o json", |out| out.contains("down")).await;
    let json: serde_json::Value = serde_json::from_str(&json).expect("a document");
    assert_eq!(json["members"].as_array().expect("a list").len(), 3);
    let judged = "2 of 3 voting members are well, 2 are needed: none may be lost";
    let out = until(&at, "doctor -o json", |out| out.contains(judged)).await;
    let findings: serde_json::Value = serde_json::from_str(&out).expect("a document");
    let of = |check: &str| {
        let all = findings["findings"].as_array().expect("a list");
        all.iter().find(|finding| finding["check"] == check).expect("checked").clone()
    };
    assert_eq!(of("quorum")["verdict"], "warning");
    assert_eq!(of("members")["verdict"], "warning");
    assert!(of("members")["next"].as_str().expect("a step").contains("member replace"));
}

#[tokio::test]
async fn a_replacement_without_a_quorum_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut members, at) = three(folder.path()).await;
    members[1].kill().await;
    members[2].kill().await;
    let words = ["ctl", &at, "--command-timeout=1s", "member", "replace", "n2"];
    let more = ["--name", "n3", "--peer-urls", "http://127.0.0.1:1"];
    let words: Vec<_> = words.into_iter().chain(more).collect();
    let (code, out, error) = run(&words).await;
    assert_eq!((code, out.as_str()), (1, ""), "{error}");
    assert!(error.contains("E-CTL-044") && error.contains("of 3 voting members"), "{error}");
    let (code, out, _) = run(&["ctl", &at, "--command-timeout=1s", "doctor", "-q"]).await;
    assert_eq!(code, 2, "{out}");
    assert!(out.contains("BAD       quorum: "), "{out}");
    assert!(out.contains("restore from a snapshot"), "{out}");
}

#[tokio::test]
async fn a_member_that_is_unknown_is_not_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_server, at) = server(folder.path()).await;
    let words = ["ctl", &at, "member", "replace", "nobody", "--name", "n", "--peer-urls"];
    let words: Vec<_> = words.into_iter().chain(["http://127.0.0.1:1"]).collect();
    let (code, _, error) = run(&words).await;
    assert_eq!(code, 1);
    assert!(error.contains("E-CTL-040"), "{error}");
}
