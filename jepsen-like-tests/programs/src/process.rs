//! A server process: started with a log of its own, looked at, signalled and ended by its own pid.
//!
//! Invariant: a process ends with the value that owns it.
//!
//! Must not know: when a server is ready.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal};

/// A command that the kernel kills when the thread that starts it ends, and so also when the whole
/// program is killed.
///
/// It must be started from a thread that lives as long as the run, so not from a blocking pool.
#[must_use]
pub fn with_this_thread(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command with its output added to `log`; does not wait for it.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its name in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its exit status, if it has ended.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// How it ended, in words, if it did.
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

    /// Sends a signal; does not wait.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?).context("pid 0")?;
        Ok(rustix::process::kill_process(pid, signal)?)
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
        tail(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last lines of a log; nothing when there is none.
#[must_use]
pub fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().rev().take(15).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Process {
        let mut command = with_this_thread(Path::new("sh"));
        command.args(["-c", "echo begun; exec sleep 1000"]);
        Process::start("sleeper", command, &folder.join("sleeper.log")).expect("it starts")
    }

    fn is_there(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn a_process_ends_with_its_value() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = sleeper(folder.path());
        let pid = process.pid();
        assert_eq!(process.ended(), None);
        assert!(is_there(pid));
        drop(process);
        assert!(!is_there(pid));
    }

    #[test]
    fn how_a_process_ended_is_told_with_its_last_lines() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", "echo why >&2; exit 3"]);
        let log = folder.path().join("log");
        let mut process = Process::start("short", command, &log).expect("it starts");
        process.child.wait().expect("it ends");
        let told = process.ended().expect("it has ended");
        assert_eq!(told, "short ended with exit status: 3; its output: why");
        assert_eq!(process.resident_bytes(), 0);
    }

    #[test]
    fn a_killed_process_can_be_signalled_no_more() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process = sleeper(folder.path());
        process.signal(Signal::CONT).expect("it runs");
        process.kill().expect("killed");
        assert!(process.status().expect("known").is_some());
        process.signal(Signal::CONT).expect_err("it is gone");
    }
}
