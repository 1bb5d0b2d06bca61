//! `engram ctl` beside etcdctl: the same command lines, each program at a real etcd of its own, and
//! the outputs and exit codes compared for `-w simple` and `-w json`.
//!
//! Invariant: both servers are the real etcd, so that only the programs can differ.
//!
//! Must not know: how either program works.

mod lines;
mod mask;
pub mod replace;

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
        let is_better = line.better_json && format == "json" && found.text.starts_with('{');
        if expected == found || (is_better && expected.code == found.code) {
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
            .args(["-w", format])
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
        Ok(Outcome { code: output.status.code(), text: mask::mask(line.words, &text) })
    }

    /// Keeps the ids that later lines name.
    fn learn(&mut self, line: &Line, text: &str) {
        let found = if let Some((_, after)) = text.split_once("\"ID\":") {
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

#[cfg(test)]
mod tests {
    use super::LINES;

    #[test]
    fn there_are_enough_lines() {
        assert!(LINES.len() >= 60, "{}", LINES.len());
    }
}
