//! `engram ctl` beside etcdctl: the same command lines, each program at a real etcd of its own, and
//! the outputs and exit codes compared in every format that etcdctl has for programs.
//!
//! Invariant: both servers are the real etcd, so that only the programs can differ.
//!
//! Must not know: how either program works.

mod lines;
mod mask;
pub mod replace;
pub mod sessions;
pub mod verbs;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use lines::{LINES, Line};

/// How long one command may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// One of the two programs, with what its server told it.
struct Side<'a> {
    program: &'a Path,
    /// What stands before the words of the line.
    first: Option<&'static str>,
    endpoint: &'a str,
    lease: String,
    member: String,
}

/// What a command line came to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    code: Option<i32>,
    text: String,
}

/// Runs all lines; how many are alike, and what differs.
pub async fn run(
    etcdctl: (&Path, &str),
    engram: (&Path, &str),
    format: &str,
) -> Result<(usize, Vec<String>)> {
    let side = |(program, endpoint), first| Side {
        program,
        first,
        endpoint,
        lease: "7f".to_owned(),
        member: "7f".to_owned(),
    };
    let (mut theirs, mut ours) = (side(etcdctl, None), side(engram, Some("ctl")));
    let (mut passed, mut findings) = (0, Vec::new());
    for line in LINES {
        let expected = theirs.run(line, format).await?;
        let found = ours.run(line, format).await?;
        if expected == found || is_better(line, format, &expected, &found) {
            passed += 1;
            continue;
        }
        findings.push(format!(
            "{} -w {format}\n    etcdctl:    {:?} {}\n    engram ctl: {:?} {}",
            line.words, expected.code, expected.text, found.code, found.text
        ));
    }
    Ok((passed, findings))
}

/// Whether the answer is there, and whole, where etcdctl prints a sentence, a part, or nothing.
fn is_better(line: &Line, format: &str, expected: &Outcome, found: &Outcome) -> bool {
    let sentence = line.better && format != "simple" && expected.code == found.code;
    let refused = ["fields", "protobuf"].contains(&format)
        && (expected.code, found.code) == (Some(BAD_FEATURE), Some(0));
    // Of an answer about leases it prints the header alone.
    let part = format == "protobuf"
        && line.words.starts_with("lease ")
        && expected.code == found.code
        && found.text.starts_with(&format!("{{1:{}", expected.text));
    match format {
        "json" => sentence && found.text.starts_with('{'),
        "fields" => refused || sentence && found.text.starts_with('"'),
        _ => refused || part || sentence && !found.text.is_empty(),
    }
}

/// etcdctl's exit code for a format that an answer does not have.
const BAD_FEATURE: i32 = 4;

impl Side<'_> {
    async fn run(&mut self, line: &Line, format: &str) -> Result<Outcome> {
        let words = line.words.split(' ').map(|word| match word {
            "''" => String::new(),
            "$LEASE" => self.lease.clone(),
            "$MEMBER" => self.member.clone(),
            word => word.to_owned(),
        });
        let mut child = Command::new(self.program)
            .args(self.first)
            .args(words)
            .args(["-w", if teaches(line) && format == "protobuf" { "json" } else { format }])
            .env_clear()
            .env("ETCDCTL_ENDPOINTS", self.endpoint)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        if let Some(mut input) = child.stdin.take() {
            // A program that does not read has closed it, which is its affair.
            drop(input.write_all(line.input.as_bytes()).await);
        }
        let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
            .await
            .with_context(|| format!("{} does not end", line.words))??;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        self.learn(line, &text);
        let text = match mask::message(&output.stdout).filter(|_| format == "protobuf") {
            Some(message) => message,
            None => mask::mask(line.words, &text),
        };
        Ok(Outcome { code: output.status.code(), text })
    }

    /// Keeps the ids that later lines name.
    fn learn(&mut self, line: &Line, text: &str) {
        let in_fields = text.split_once("\"ID\" : ");
        let found = if let Some((_, after)) = in_fields.or(text.split_once("\"ID\":")) {
            let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u64>().ok().map(|id| format!("{id:x}"))
        } else {
            let is_id =
                |word: &&str| word.len() > 12 && word.chars().all(|c| c.is_ascii_hexdigit());
            text.split([' ', ',']).find(is_id).map(str::to_owned)
        };
        match (found, line.words) {
            (Some(id), "lease grant 300") => self.lease = id,
            (Some(id), "member list") => self.member = id,
            _ => {}
        }
    }
}

/// Whether later lines name an id that this one tells.
fn teaches(line: &Line) -> bool {
    matches!(line.words, "lease grant 300" | "member list")
}

#[cfg(test)]
mod tests {
    use super::LINES;

    #[test]
    fn there_are_enough_lines() {
        assert!(LINES.len() >= 60, "{}", LINES.len());
    }
}
