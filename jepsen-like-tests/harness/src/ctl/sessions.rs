//! `engram ctl` for longer than its token lives: locks, elections, renewals, watches and mirrors at
//! servers that forget a token after two seconds.
//!
//! Must not know: how a token is come by.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::pause::pause;
use crate::process::{self, Kind, Programs};

/// What the servers are told, and longer than that.
const FORGETFUL: [&str; 2] = ["--auth-token-ttl", "2"];
const IDLE: Duration = Duration::from_secs(5);
/// How many there are.
pub const COUNT: u64 = 5;
/// How long anything may take beyond that.
const DEADLINE: Duration = Duration::from_secs(15);

/// Runs all of it at a server of this kind; what is wrong.
pub async fn run(programs: &Programs, folder: &Path, kind: Kind) -> Result<Vec<String>> {
    let mut server = process::cluster(programs, kind, folder, 1, &FORGETFUL)?.remove(0);
    server.start()?;
    server.ready().await?;
    let ctl = Ctl { program: &programs.engram, endpoint: server.client_url() };
    for words in ["user add root:secret", "user grant-role root root", "auth enable"] {
        // The role is made with authentication itself.
        let _ = ctl.words(words).output().await?;
    }
    let (locked, led, renewed, watched, mirrored) =
        tokio::join!(lock(&ctl), election(&ctl), renewals(&ctl), watch(&ctl), mirror(&ctl));
    let named: [(&str, Result<()>); COUNT as usize] = [
        ("lock", locked),
        ("elect", led),
        ("lease keep-alive", renewed),
        ("watch", watched),
        ("make-mirror", mirrored),
    ];
    let wrong = named.into_iter().filter_map(|(name, outcome)| {
        outcome.err().map(|error| format!("{name} with a token that ran out: {error:#}"))
    });
    Ok(wrong.collect())
}

struct Ctl<'a> {
    program: &'a Path,
    endpoint: &'a str,
}

impl Ctl<'_> {
    fn words(&self, words: &str) -> Command {
        self.command(&words.split(' ').collect::<Vec<_>>())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(["ctl", "-o", "simple", "--endpoints", self.endpoint]).args(words).env_clear();
        command.env("ETCDCTL_USER", "root").env("ETCDCTL_PASSWORD", "secret");
        command.env("PATH", "/usr/bin:/bin").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What it prints, when it ends well in time.
    async fn well(&self, mut command: Command) -> Result<String> {
        let output = tokio::time::timeout(IDLE + DEADLINE, command.output());
        let output = output.await.context("it does not end")??;
        if !output.status.success() {
            bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn open(&self, words: &str) -> Result<Open> {
        Open::of(self.words(words))
    }
}

/// A command that goes on.
struct Open {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Open {
    fn of(mut command: Command) -> Result<Self> {
        let mut child = command.spawn()?;
        let output = child.stdout.take().context("a pipe")?;
        Ok(Open { child, lines: BufReader::new(output).lines() })
    }

    async fn line(&mut self) -> Result<String> {
        let line = tokio::time::timeout(IDLE + DEADLINE, self.lines.next_line());
        line.await.context("it says nothing")??.context("it ended")
    }

    /// Reads until a line holds this.
    async fn until(&mut self, wanted: &str) -> Result<()> {
        let began = Instant::now();
        while !self.line().await?.contains(wanted) {
            if began.elapsed() > IDLE + DEADLINE {
                bail!("it never says {wanted}");
            }
        }
        Ok(())
    }
}

/// The lease is renewed after three seconds and revoked in the end, so that nothing is left.
async fn lock(ctl: &Ctl<'_>) -> Result<()> {
    let idle = IDLE.as_secs().to_string();
    ctl.well(ctl.command(&["lock", "m", "--ttl", "9", "--", "sleep", &idle])).await?;
    match ctl.well(ctl.words("get m/ --prefix --keys-only")).await?.as_str() {
        "" => Ok(()),
        left => bail!("left behind: {left}"),
    }
}

/// Who listens reads the new leader with the token of the beginning.
async fn election(ctl: &Ctl<'_>) -> Result<()> {
    let mut listener = ctl.open("elect e -l")?;
    pause(IDLE).await;
    let _leader = ctl.open("elect e one")?;
    listener.until("one").await
}

async fn renewals(ctl: &Ctl<'_>) -> Result<()> {
    let granted = ctl.well(ctl.words("lease grant 9")).await?;
    let lease = granted.split(' ').nth(1).context("a lease")?.to_owned();
    // Each comes three seconds behind the one before.
    let mut renewal = ctl.open(&format!("lease keep-alive {lease}"))?;
    for _ in 0..3 {
        renewal.until("keepalived").await?;
    }
    Ok(())
}

/// What is watched goes on, and a watch that is asked for later on the same stream begins.
async fn watch(ctl: &Ctl<'_>) -> Result<()> {
    let mut watch = ctl.open("watch w")?;
    let mut typed = ctl.words("watch -i");
    typed.stdin(Stdio::piped());
    let mut typed = Open::of(typed)?;
    let mut input = typed.child.stdin.take().context("a pipe")?;
    input.write_all(b"watch v\n").await?;
    pause(IDLE).await;
    input.write_all(b"watch w\n").await?;
    // Until the second watch is there, nothing of it is told: so it is written again and again.
    let heard = async {
        ctl.well(ctl.words("put v here")).await?;
        typed.until("here").await?;
        typed.until("again").await
    };
    tokio::select! {
        heard = heard => heard?,
        failed = write_on(ctl) => return failed,
    }
    ctl.well(ctl.words("put w here")).await?;
    watch.until("here").await
}

async fn write_on(ctl: &Ctl<'_>) -> Result<()> {
    loop {
        ctl.well(ctl.words("put w again")).await?;
    }
}

/// What is written at the source long after the last write is at the destination soon.
async fn mirror(ctl: &Ctl<'_>) -> Result<()> {
    let prefixes = "--prefix s/ --dest-prefix d/";
    let user = "--dest-user root --dest-password secret";
    let _mirror = ctl.open(&format!("make-mirror {prefixes} {user} {}", ctl.endpoint))?;
    for (key, idle) in [("s/first", Duration::ZERO), ("s/later", IDLE)] {
        pause(idle).await;
        ctl.well(ctl.command(&["put", key, "value"])).await?;
        let began = Instant::now();
        let copy = key.replacen('s', "d", 1);
        while ctl.well(ctl.command(&["get", &copy])).await?.is_empty() {
            if began.elapsed() > DEADLINE {
                bail!("{copy} does not come");
            }
            pause(process::POLL).await;
        }
    }
    Ok(())
}
