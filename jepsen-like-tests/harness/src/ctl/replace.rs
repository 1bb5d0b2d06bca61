//! `member replace` at the real etcd: a dead member, then the leader, under a reader's eyes.
//!
//! Invariant: what was written before is there behind each replacement, at every member.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

use crate::pause::pause;
use crate::process::{self, Kind, Member, POLL, Programs, free_ports};

/// How long a replacement may take.
const DEADLINE: Duration = Duration::from_secs(90);

/// Replaces a dead member and then the leader; what is wrong, if anything.
pub async fn run(programs: &Programs, folder: &Path) -> Result<Vec<String>> {
    let mut members = process::cluster(programs, Kind::Etcd, folder, 3, &["--unsafe-no-fsync"])?;
    for member in &mut members {
        member.start()?;
    }
    for member in &mut members {
        member.ready().await?;
    }
    let mut findings = Vec::new();
    let ctl = Ctl { program: &programs.engram };
    ctl.well(members[0].client_url(), &["put", "kept", "v"]).await?;
    // Each time another one goes: first a dead one, then whoever leads.
    members[2].kill()?;
    let new = ctl.replace(programs, folder, &members[..2], "m2", "new-a").await?;
    members[2] = new;
    let urls = endpoints(&members);
    let leader = ctl.leader(&urls).await?;
    let new = ctl.replace(programs, folder, &members, &leader, "new-b").await?;
    members.push(new);
    let list = ctl.well(&endpoints(&members), &["member", "list", "-o", "simple"]).await?;
    let voters = list.lines().filter(|line| line.contains("started") && line.ends_with("false"));
    if voters.count() != 3 || list.lines().count() != 3 {
        findings.push(format!("not three voters behind two replacements:\n{list}"));
    }
    for wanted in ["new-a", "new-b"] {
        if !list.contains(wanted) && leader != wanted {
            findings.push(format!("{wanted} is not among the members:\n{list}"));
        }
    }
    let kept = ctl.well(&endpoints(&members[2..]), &["get", "kept", "--print-value-only"]).await?;
    if kept != "v\n" {
        findings.push(format!("what was written is {kept:?}"));
    }
    Ok(findings)
}

fn endpoints(members: &[Member]) -> String {
    members.iter().map(Member::client_url).collect::<Vec<_>>().join(",")
}

struct Ctl<'a> {
    program: &'a Path,
}

impl Ctl<'_> {
    fn command(&self, endpoints: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.arg("ctl").args(["--endpoints", endpoints]).args(words);
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn well(&self, endpoints: &str, words: &[&str]) -> Result<String> {
        let output = self.command(endpoints, words).output().await?;
        if !output.status.success() {
            bail!("{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The id of the member that leads.
    async fn leader(&self, endpoints: &str) -> Result<String> {
        let began = Instant::now();
        loop {
            let table = self.well(endpoints, &["endpoint", "status"]).await?;
            let row = table.lines().find(|line| line.contains(" leader "));
            if let Some(id) = row.and_then(|row| row.split_whitespace().nth(1)) {
                return Ok(id.to_owned());
            }
            if began.elapsed() > DEADLINE {
                bail!("nobody leads:\n{table}");
            }
            pause(POLL).await;
        }
    }

    /// Starts the replacement, starts the new member as it says, and waits for the end.
    async fn replace(
        &self,
        programs: &Programs,
        folder: &Path,
        members: &[Member],
        old: &str,
        name: &str,
    ) -> Result<Member> {
        let ports = free_ports(2)?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (client, peer) = (url(ports[0]), url(ports[1]));
        let words = [
            "member",
            "replace",
            old,
            "--name",
            name,
            "--peer-urls",
            &peer,
            "--client-urls",
            &client,
        ];
        let mut child = self
            .command(&endpoints(members), &words)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(child.stderr.take().context("piped")?).lines();
        let initial = tokio::time::timeout(DEADLINE, initial_cluster(&mut said)).await??;
        let data = folder.join(name);
        let arguments = vec![
            format!("--name={name}"),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster={initial}"),
            "--initial-cluster-state=existing".to_owned(),
            "--unsafe-no-fsync".to_owned(),
        ];
        let log = folder.join(format!("{name}.log"));
        let mut new = Member::new(programs.peers.join("etcd"), arguments, log, client);
        new.start()?;
        let rest = async {
            let mut text = String::new();
            while let Some(line) = said.next_line().await? {
                text.push_str(&line);
                text.push('\n');
            }
            Ok::<(ExitStatus, String), anyhow::Error>((child.wait().await?, text))
        };
        let (status, text) = tokio::time::timeout(DEADLINE, rest).await??;
        if !status.success() {
            bail!("replacing {old} by {name}: {status}\n{text}\n{}", new.tail());
        }
        new.ready().await?;
        Ok(new)
    }
}

/// The value that the printed command has for the new member.
async fn initial_cluster<R: AsyncRead + Unpin>(
    lines: &mut tokio::io::Lines<BufReader<R>>,
) -> Result<String> {
    let mut text = String::new();
    while let Some(line) = lines.next_line().await? {
        // The line of the state has a flag that begins alike.
        if let Some(value) = line.trim().strip_prefix("--initial-cluster ") {
            return Ok(value.to_owned());
        }
        text.push_str(&line);
        text.push('\n');
    }
    bail!("no command to start the new member was printed:\n{text}")
}
