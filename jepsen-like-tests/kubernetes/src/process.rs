//! Programs and processes: found, started, waited for, killed by their own pid.
//!
//! Invariants: a process ends with the value that owns it, and also when this program is killed
//! (`setpriv --pdeathsig`); each has its own log file; ports are free when they are drawn.
//!
//! Must not know: what the programs are for.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal};

/// The programs a run drives.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Engram's binary: `ENGRAM_BIN`, else `bin/engram`.
    pub engram: PathBuf,
    /// The folder with the real programs: `ENGRAM_PEERS`, else the cache's.
    pub peers: PathBuf,
}

impl Programs {
    /// Finds the folders; each program is looked for when it is started.
    ///
    /// *Errors*: a real program is missing; the message says which command makes it.
    pub fn find() -> Result<Self> {
        let engram = std::env::var_os("ENGRAM_BIN")
            .map_or_else(|| PathBuf::from("bin/engram"), PathBuf::from);
        let cache = std::env::var_os("ENGRAM_CACHE").map(PathBuf::from).unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/engram")
        });
        let peers =
            std::env::var_os("ENGRAM_PEERS").map_or_else(|| cache.join("peers/bin"), PathBuf::from);
        for (program, command) in
            [("etcd", "make peers"), ("kube-apiserver", "make peers-kubernetes")]
        {
            if !peers.join(program).is_file() {
                bail!("{} is missing: run `{command}`", peers.join(program).display());
            }
        }
        Ok(Self { engram: std::path::absolute(engram)?, peers })
    }

    /// The path of a real program.
    #[must_use]
    pub fn peer(&self, name: &str) -> PathBuf {
        self.peers.join(name)
    }
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program with its output in `<folder>/<name>.log`; does not wait for it.
    ///
    /// It must be called from a thread that lives as long as the run (the death signal goes with
    /// the thread that started the process), so not from a blocking pool.
    pub fn start(
        name: &str,
        program: &Path,
        arguments: &[String],
        folder: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        if !program.is_file() {
            bail!("{} is missing", program.display());
        }
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {} (with setpriv)", program.display()))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its name in messages, and its log's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("{} ended with {status}; its output: {}", self.name, self.tail()))
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end (SIGTERM); does not wait.
    pub fn terminate(&self) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?).context("pid 0")?;
        Ok(rustix::process::kill_process(pid, Signal::TERM)?)
    }

    /// Resident memory in bytes; 0 when it has ended.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let kilobytes = status.ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        });
        kilobytes.unwrap_or(0) * 1024
    }

    /// The last lines it wrote.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Loopback ports that nobody listens on now.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
