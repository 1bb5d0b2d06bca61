//! The error lines in the logs of Kubernetes components, as far as they are the same in every run.
//!
//! Invariant: two lines are the same when a component wrote them at one place in its source with
//! one text, where numbers, names drawn at random and what a gRPC error describes do not count.
//! What a request meets that is under way when the leader is killed is chance on both stores; the
//! rows of [`CHANCE`] name it, and each says why.
//!
//! Must not know: what led to a line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;

/// The error lines of a run.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Masked lines, each with the first real one.
    pub(super) lines: BTreeMap<String, String>,
    /// How many lines each row of [`CHANCE`] left out, by what it looks for.
    pub(super) chance: BTreeMap<&'static str, usize>,
}

impl Seen {
    fn append(&mut self, mut other: Seen) {
        self.lines.append(&mut other.lines);
        for (row, count) in other.chance {
            *self.chance.entry(row).or_default() += count;
        }
    }
}

/// What is in lines that are left out, and why.
const CHANCE: [(&str, &str); 8] = [
    ("code = Unavailable", "the member that was asked, or the leader it asked, was killed"),
    ("code:0xe,", "the same, as the client library prints it"),
    ("context deadline exceeded", "the request waited for the election"),
    ("code = DeadlineExceeded", "the same, as the client library prints it"),
    ("is not as new as written version", "the watch hung on the killed member; it is tried again"),
    ("etcdserver: request timed out", "the same, as kube-apiserver passes it on"),
    // At its start, with a single real etcd too: in 15 and 17 of 24 starts.
    (
        "err=\"namespaces \\\"kube-system\\\" not found",
        "kube-apiserver writes its lease and a ConfigMap while it makes the namespace for them",
    ),
    // What the compactor of kube-apiserver prints of its own watch.
    (
        "]): etcdserver: mvcc: required revision",
        "opened anew, it starts before the walk's compaction",
    ),
];

/// A line that says that something failed and not why, and what is in the line before it, which
/// says it.
///
/// kube-controller-manager: `SwapNodeControllerTaint` writes its error and returns `false`, and its
/// caller writes that. With the real etcd, too: in 3 of 14 runs.
const WITHOUT_REASON: (&str, [&str; 2]) = (
    "\"Failed to taint NoSchedule on node, requeue it\"",
    ["err=\"unable to taint ", "err=\"unable to remove "],
);

/// Reads the logs of the real components below a folder.
pub(super) fn read(folder: &Path) -> Result<Seen> {
    let mut seen = Seen::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            seen.append(read(&path)?);
            continue;
        }
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let component = name.trim_end_matches(|it: char| it.is_ascii_digit() || it == '-');
        if !["apiserver", "kube-controller-manager", "kube-scheduler"].contains(&component) {
            continue;
        }
        let text = std::fs::read(&path)?;
        for (read, line) in read_log(&String::from_utf8_lossy(&text)) {
            match read {
                Line::NoError => {}
                Line::Chance(row) => *seen.chance.entry(row).or_default() += 1,
                Line::Error(masked) => {
                    let key = format!("{component} {masked}");
                    seen.lines.entry(key).or_insert_with(|| line.to_owned());
                }
            }
        }
    }
    Ok(seen)
}

/// What each line of a log is; one that only repeats that something failed is what its reason is.
fn read_log(text: &str) -> Vec<(Line, &str)> {
    let (repeats, reasons) = WITHOUT_REASON;
    let mut read = Vec::new();
    // Of the last reason, until it is repeated.
    let mut chance = None;
    for line in text.lines() {
        let mut this = read_line(line);
        let said = klog_error(line).map_or("", |(_, text)| text);
        if reasons.iter().any(|reason| said.contains(reason)) {
            chance = if let Line::Chance(row) = this { Some(row) } else { None };
        } else if said.starts_with(repeats) {
            this = chance.take().map_or(this, Line::Chance);
        }
        read.push((this, line));
    }
    read
}

/// What a line of a log is.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    NoError,
    /// It belongs to this row of [`CHANCE`].
    Chance(&'static str),
    /// It without what changes.
    Error(String),
}

/// *Shape*: `E1121 16:10:24.123456   123 place.go:12] text` becomes `place.go:12] text`.
fn read_line(line: &str) -> Line {
    if line.starts_with("panic: ") || line.starts_with("fatal error: ") {
        return Line::Error(line.to_owned());
    }
    let Some((place, text)) = klog_error(line) else { return Line::NoError };
    if let Some((row, _)) = CHANCE.iter().find(|(part, _)| text.contains(part)) {
        return Line::Chance(row);
    }
    let text = text.split_once("desc = ").map_or(text, |(before, _)| before);
    let words: Vec<_> = text.split(' ').map(word).collect();
    Line::Error(format!("{place}] {}", words.join(" ")))
}

/// The place and the text of an error's line.
fn klog_error(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(['E', 'F'])?;
    if !rest.get(..4)?.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (head, text) = rest.split_once("] ")?;
    Some((head.rsplit(' ').next()?, text))
}

/// A word with its digits, and with whatever a generated name ends in, masked.
fn word(word: &str) -> String {
    let mut out = String::new();
    for part in word.split_inclusive(['-', '/', '"', '=', '.', ':', ',']) {
        if part.bytes().any(|byte| byte.is_ascii_digit()) {
            out.push('#');
            out.extend(part.chars().last().filter(|last| last.is_ascii_punctuation()));
        } else {
            out.push_str(part);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Line, read_line, read_log};

    fn masked(line: &str) -> Option<String> {
        match read_line(line) {
            Line::Error(masked) => Some(masked),
            Line::NoError | Line::Chance(_) => None,
        }
    }

    #[test]
    fn lines_of_one_place_and_text_are_one() {
        let first = "E1121 16:10:24.1 77 wr.go:12] \"Failed\" err=\"rpc error: code = NotFound \
                     desc = none\" pod=\"default/web-5d8f-x7k2p\"";
        let second = "E1122 06:01:02.2 78 wr.go:12] \"Failed\" err=\"rpc error: code = NotFound \
                      desc = no such\"";
        let said = "wr.go:12] \"Failed\" err=\"rpc error: code = NotFound ";
        assert_eq!(masked(first).as_deref(), Some(said));
        assert_eq!(masked(first), masked(second));
        let other = "E1122 06:01:02.2 78 wr.go:13] \"Failed\" pod=\"default/web-5d8f-x7k2p\" n=3";
        assert_eq!(
            masked(other).as_deref(),
            Some("wr.go:13] \"Failed\" pod=\"default/web-#-#\" n=#")
        );
    }

    #[test]
    fn a_line_without_a_reason_has_that_of_the_line_before_it_and_only_once() {
        let reason = |why: &str| {
            format!(
                "E1121 16:10:24.1 77 runtime.go:256] \"Unhandled Error\" err=\"unable to taint [] \
                 unresponsive Node \\\"node-2\\\": {why}\"\n"
            )
        };
        let repeated = "E1121 16:10:24.1 77 node.go:5] \"Failed to taint NoSchedule on node, \
                        requeue it\" err=\"failed to swap taints\"\n";
        let read =
            |text: &str| read_log(text).into_iter().map(|(read, _)| read).collect::<Vec<_>>();
        let timed_out = Line::Chance("etcdserver: request timed out");
        let [of_chance, other] = [reason("etcdserver: request timed out"), reason("no such node")];
        let lines = read(&format!("{of_chance}{repeated}{repeated}"));
        assert_eq!(lines[..2], [timed_out, Line::Chance("etcdserver: request timed out")]);
        assert!(matches!(lines[2], Line::Error(_)), "it has no reason of its own");
        assert!(matches!(read(&format!("{other}{repeated}"))[1], Line::Error(_)));
        assert!(matches!(read(&format!("{of_chance}{other}{repeated}"))[2], Line::Error(_)));
    }

    #[test]
    fn what_is_no_error_is_left_out() {
        assert_eq!(masked("I1121 16:10:24.1 77 wr.go:12] Error"), None);
        assert_eq!(masked("W1121 16:10:24.1 77 wr.go:12] Error"), None);
        let unreachable = "E1121 16:10:24.1 77 wr.go:12] \"Failed\" err=\"code = Unavailable\"";
        assert_eq!(read_line(unreachable), Line::Chance("code = Unavailable"));
        let early = "E1121 19:18:30.405115   20205 controller.go:208] \"Failed to ensure lease \
                     exists, will retry\" err=\"namespaces \\\"kube-system\\\" not found\" \
                     interval=\"200ms\"";
        assert!(matches!(read_line(early), Line::Chance(_)));
        assert_eq!(masked("Each of them"), None);
        assert_eq!(masked("Error: no"), None);
        assert!(masked("panic: runtime error").is_some());
    }
}
