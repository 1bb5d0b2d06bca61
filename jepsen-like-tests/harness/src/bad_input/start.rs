//! Rows 46 to 51: command lines, files and directories that no member can start with, given to both
//! servers.
//!
//! Invariants: a refused start ends by itself with the code and the one line that are written down,
//! and leaves no data directory, or the one it found as it was; what starts is asked for a read.
//!
//! Must not know: how a server reads its configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use programs::Process;

use super::Outcome;
use super::start_cases::{CASES, Case, Expected, Prepared, TOOLS, prepare};
use crate::process::{Kind, POLL, Programs, answers, free_ports};

/// A start is decided within this time.
const DECIDED_WITHIN: Duration = Duration::from_secs(30);
/// What a start may take of memory that is its own, in KiB: a configuration file of a gigabyte must
/// not be read whole.
const DATA_KIB_MAX: u64 = 900 * 1024;

/// What became of a start.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The exit code and the reason.
    Refused(i32, String),
    Serves,
}

/// All cases on both servers, and the tools' on both tools.
pub(super) async fn run(programs: &Programs, folder: &Path, outcome: &mut Outcome) -> Result<()> {
    let ports = free_ports(4)?;
    for case in CASES {
        if let Some(why) = cannot(case.prepared) {
            outcome.skip(case.row, case.name, &why);
            continue;
        }
        let held = compare(programs, folder, &ports, case).await;
        outcome.check(case.row, case.name, held);
        let cleared = std::fs::remove_dir_all(folder);
        cleared.context("the folder of a case")?;
    }
    for (row, name, words, code, text) in TOOLS {
        let held = tools(programs, folder, words, *code, text);
        outcome.check(*row, name, held);
    }
    Ok(())
}

/// Why what a case finds cannot be made here.
fn cannot(prepared: Prepared) -> Option<String> {
    let Prepared::ReadOnly = prepared else { return None };
    let tried = Command::new("unshare").args(["--mount", "mount", "--bind", "/", "/"]).output();
    match tried {
        Ok(tried) if tried.status.success() => None,
        Ok(tried) => Some(String::from_utf8_lossy(&tried.stderr).trim().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

async fn compare(programs: &Programs, folder: &Path, ports: &[u16], case: &Case) -> Result<()> {
    let sides = [(Kind::Etcd, &ports[..2]), (Kind::Engram, &ports[2..])];
    let [theirs, ours] = sides.map(|(kind, ports)| {
        let folder = folder.join(format!("{kind:?}"));
        let ports = [ports[0], ports[1]];
        async move {
            std::fs::create_dir_all(&folder)?;
            let place = Place { kind, folder, ports };
            prepare(case, &place.folder)?;
            place.start(programs, case).await
        }
    });
    match case.expected {
        Expected::Both(code, text) => {
            let (theirs, ours) = tokio::join!(theirs, ours);
            agree("etcd", &theirs?, code, text)?;
            agree("engram", &ours?, code, text)
        }
        Expected::Ours(code, text) => agree("engram", &ours.await?, code, text),
        Expected::Served => {
            let ours = ours.await?;
            ensure!(ours == End::Serves, "engram: {ours:?} instead of serving");
            Ok(())
        }
    }
}

fn agree(side: &str, end: &End, code: i32, text: &str) -> Result<()> {
    match end {
        End::Refused(found, told) if *found == code && told.contains(text) => Ok(()),
        end => bail!("{side}: expected code {code} and {text:?}, got {end:?}"),
    }
}

/// Where one server is started.
struct Place {
    kind: Kind,
    folder: PathBuf,
    ports: [u16; 2],
}

impl Place {
    /// A word of a case with this place's folder and URLs.
    fn filled(&self, word: &str) -> String {
        let folder = self.folder.display().to_string();
        word.replace("{dir}", &folder)
            .replace("{client}", &format!("http://127.0.0.1:{}", self.ports[0]))
            .replace("{peer}", &format!("http://127.0.0.1:{}", self.ports[1]))
    }

    /// What keeps a server from writing where it must not: also one of root, who may write
    /// anywhere.
    fn confined(&self, prepared: Prepared) -> Command {
        let data = self.folder.join("data").display().to_string();
        match prepared {
            Prepared::Forbidding if rustix::process::geteuid().is_root() => {
                let mut command = Command::new("setpriv");
                command.args(["--bounding-set", "-dac_override,-dac_read_search", "--"]);
                command
            }
            Prepared::ReadOnly => {
                let script = format!(
                    "mount --bind {data} {data} && mount -o remount,bind,ro {data} && \
                     exec \"$0\" \"$@\""
                );
                let mut command = Command::new("unshare");
                command.args(["--mount", "sh", "-c", &script]);
                command
            }
            _ => Command::new("env"),
        }
    }

    fn command(&self, programs: &Programs, case: &Case) -> Command {
        let mut command = self.confined(case.prepared);
        // The shell lowers the limits of the server alone.
        command.arg("sh");
        let limits = format!("ulimit -d {DATA_KIB_MAX}; exec \"$0\" \"$@\"");
        match self.kind {
            Kind::Etcd => {
                command.args(["-c", "exec \"$0\" \"$@\""]).arg(programs.peer("etcd"));
            }
            Kind::Engram => {
                command.args(["-c", &limits]).arg(&programs.engram).arg("server");
            }
        }
        let usual = ["--name=a", "--data-dir={dir}/data", "--listen-client-urls={client}"];
        let usual = usual.into_iter().chain([
            "--advertise-client-urls={client}",
            "--listen-peer-urls={peer}",
            "--initial-advertise-peer-urls={peer}",
            "--initial-cluster=a={peer}",
        ]);
        // A configuration file stands alone; and what a case gives replaces the usual.
        let alone = case.words.iter().any(|word| word.starts_with("--config-file"));
        let given = |word: &str| {
            let flag = word.split('=').next().unwrap_or_default();
            case.words.iter().any(|word| word.split('=').next() == Some(flag))
        };
        let usual = usual.filter(|word| !alone && !given(word));
        let words = usual.chain(case.words.iter().copied()).map(|word| self.filled(word));
        command.args(words).env_clear().envs(case.environment.iter().copied());
        command.current_dir(&self.folder);
        command
    }

    async fn start(&self, programs: &Programs, case: &Case) -> Result<End> {
        let (log, data) = (self.folder.join("output"), self.folder.join("data"));
        let before = listing(&data);
        let mut process = Process::start("server", self.command(programs, case), &log)?;
        let deadline = Instant::now() + DECIDED_WITHIN;
        loop {
            if let Some(status) = process.status()? {
                let output = std::fs::read(&log)?;
                let output = String::from_utf8_lossy(&output);
                ensure!(!output.contains("panicked"), "a panic: {output}");
                let code = status.code().with_context(|| format!("{status}"))?;
                if self.kind == Kind::Engram {
                    // A directory in which no member lives yet is no harm.
                    let mut after = listing(&data);
                    after.retain(|path, bytes| {
                        let bare = ["LOCK", "member", "raft", "snapshots"]
                            .iter()
                            .any(|name| path.ends_with(name));
                        before.contains_key(path) || *bytes > 0 || !bare
                    });
                    ensure!(after == before, "it changed the data directory: {after:?}");
                }
                return Ok(End::Refused(code, reason(&output, self.kind)));
            }
            let url = format!("http://127.0.0.1:{}", self.ports[0]);
            if answers(&url).await {
                process.kill()?;
                return Ok(End::Serves);
            }
            ensure!(Instant::now() < deadline, "neither ends nor serves: {}", process.tail());
            crate::pause::pause(POLL).await;
        }
    }
}

/// Why a server ended: the error of etcd's last line, or the line on standard error.
fn reason(output: &str, kind: Kind) -> String {
    if kind == Kind::Engram {
        let lines: Vec<_> =
            output.lines().filter_map(|line| line.strip_prefix("engram: ")).collect();
        return match lines.as_slice() {
            [line] => (*line).to_owned(),
            _ => format!("{} lines instead of one: {output}", lines.len()),
        };
    }
    let told = output.lines().rev().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let error = line["error"].as_str();
        Some(error.or(line["msg"].as_str())?.to_owned())
    });
    told.unwrap_or_else(|| output.lines().next().unwrap_or_default().to_owned())
}

/// Names and lengths of all files under a directory.
fn listing(top: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(path.clone()),
                Ok(about) => drop(found.insert(path.clone(), about.len())),
                Err(_) => {}
            }
            found.entry(path).or_insert(0);
        }
    }
    found
}

/// A line of the offline tools on both: etcdutl, and `engram util`.
fn tools(programs: &Programs, folder: &Path, words: &[&str], code: i32, text: &str) -> Result<()> {
    let etcdutl = programs.peer("etcdutl");
    for (side, program, first) in
        [("etcdutl", &etcdutl, &[][..]), ("engram", &programs.engram, &["util"][..])]
    {
        let folder = folder.join(side);
        std::fs::create_dir_all(folder.join("full/x"))?;
        std::fs::write(folder.join("a file.db"), b"no snapshot")?;
        let before = listing(&folder);
        let output = Command::new(program)
            .args(first)
            .args(words)
            .current_dir(&folder)
            .env_clear()
            .output()
            .with_context(|| side.to_owned())?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!told.contains("panicked"), "{side}: a panic: {told}");
        let found = output.status.code();
        ensure!(listing(&folder) == before, "{side}: it left something behind");
        ensure!(found.is_some_and(|found| found > 0), "{side}: {found:?}: {told}");
        let same = side == "engram" || found == Some(code);
        ensure!(same && told.contains(text), "{side}: code {found:?}, {told}");
    }
    Ok(())
}
