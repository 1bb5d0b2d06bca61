//! The programs that tests drive: where they are, their processes, free ports for them, and the
//! line that a suite of them ends with.
//!
//! Invariants: one place reads `ENGRAM_BIN`, `ENGRAM_PEERS` and `ENGRAM_CACHE` for all suites and
//! tests; ports are free when they are drawn.
//!
//! Must not know: what a program is for, and how it is asked whether it is ready.

pub mod pause;
mod process;
pub mod transcript;

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use process::{Process, tail, with_this_thread};

/// What makes the real etcd and its tools.
const MAKE_ETCD: &str = "make peers";
/// What makes the real Kubernetes programs.
const MAKE_KUBERNETES: &str = "make peers-kubernetes";

/// The folder of what is fetched and built once: `ENGRAM_CACHE`, else `~/.cache/engram`.
///
/// *Errors*: neither `ENGRAM_CACHE` nor `HOME` is set.
pub fn cache() -> Result<PathBuf> {
    cache_by(&|name| std::env::var_os(name))
}

/// The folder of the real programs: `ENGRAM_PEERS`, else the cache's.
///
/// *Errors*: as [`cache`].
pub fn peers() -> Result<PathBuf> {
    peers_by(&|name| std::env::var_os(name))
}

/// [`peers`] by an environment that need not be this process's.
pub fn peers_by(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    match variable("ENGRAM_PEERS") {
        Some(peers) => Ok(peers.into()),
        None => Ok(cache_by(variable)?.join("peers/bin")),
    }
}

fn cache_by(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    if let Some(cache) = variable("ENGRAM_CACHE") {
        return Ok(cache.into());
    }
    let home = variable("HOME").context("neither ENGRAM_CACHE nor HOME is set")?;
    Ok(Path::new(&home).join(".cache/engram"))
}

/// The folder of the real programs, if all of these are there.
///
/// *Shape*: none when one is missing; that is said on standard error, with the command that makes
/// it. A test that can do nothing then returns.
#[must_use]
pub fn peers_with(wanted: &[&str]) -> Option<PathBuf> {
    match peers().and_then(|peers| all_there(&peers, wanted).map(|()| peers)) {
        Ok(peers) => Some(peers),
        Err(missing) => {
            eprintln!("NOT RUN: {missing:#}");
            None
        }
    }
}

fn all_there(peers: &Path, wanted: &[&str]) -> Result<()> {
    for name in wanted {
        let path = peers.join(name);
        let command = if name.starts_with("etcd") { MAKE_ETCD } else { MAKE_KUBERNETES };
        if !path.is_file() {
            bail!("{} is missing: run `{command}`", path.display());
        }
    }
    Ok(())
}

/// The programs a run drives.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Engram's binary: `ENGRAM_BIN`, else `bin/engram`; absolute.
    pub engram: PathBuf,
    /// The folder with the real programs: `ENGRAM_PEERS`, else the cache's.
    pub peers: PathBuf,
}

impl Programs {
    /// Engram and the real etcd.
    ///
    /// *Errors*: one is missing; the message says which command makes it.
    pub fn find() -> Result<Self> {
        let programs = Self::with_peers(&["etcd"])?;
        if !programs.engram.is_file() {
            bail!("{} is missing: run `make build`", programs.engram.display());
        }
        Ok(programs)
    }

    /// These real programs; Engram, which not every run needs, is looked for when it is started.
    ///
    /// *Errors*: as [`Programs::find`].
    pub fn with_peers(wanted: &[&str]) -> Result<Self> {
        let engram = std::env::var_os("ENGRAM_BIN")
            .map_or_else(|| PathBuf::from("bin/engram"), PathBuf::from);
        let peers = peers()?;
        all_there(&peers, wanted)?;
        Ok(Self { engram: std::path::absolute(engram)?, peers })
    }

    /// The path of a real program.
    #[must_use]
    pub fn peer(&self, name: &str) -> PathBuf {
        self.peers.join(name)
    }
}

/// Loopback ports that nobody listens on now.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// Ends a suite: prints its count, in the form that `make test` reads.
///
/// *Errors*: something failed; the command that repeats it stands in the message.
pub fn finish(suite: &str, passed: u64, failed: u64, again: &str) -> Result<()> {
    println!("suite {suite}: {passed} passed, {failed} failed");
    if failed > 0 {
        bail!("{failed} of {} failed; again: {again}", passed + failed);
    }
    Ok(())
}

/// Whether a text fits a pattern in which `*` stands for anything.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_programs_are_where_the_environment_says() {
        type Case = (&'static [(&'static str, &'static str)], &'static str);
        let table: [Case; 3] = [
            (&[("HOME", "/h")], "/h/.cache/engram/peers/bin"),
            (&[("HOME", "/h"), ("ENGRAM_CACHE", "/c")], "/c/peers/bin"),
            (&[("HOME", "/h"), ("ENGRAM_CACHE", "/c"), ("ENGRAM_PEERS", "/p")], "/p"),
        ];
        for (set, folder) in table {
            let variable = |name: &str| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
            };
            assert_eq!(peers_by(&variable).expect("found"), Path::new(folder), "{set:?}");
        }
        assert!(peers_by(&|_| None).is_err());
    }

    #[test]
    fn a_missing_program_is_told_with_the_command_that_makes_it() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("etcd"), "").expect("written");
        all_there(folder.path(), &["etcd"]).expect("it is there");
        for (name, command) in [("etcdctl", "`make peers`"), ("kubectl", "`make peers-kubernetes`")]
        {
            let missing = all_there(folder.path(), &["etcd", name]).expect_err("it is not there");
            assert!(missing.to_string().ends_with(command), "{missing}");
        }
    }

    #[test]
    fn ports_drawn_together_are_free_and_differ() {
        let mut ports = free_ports(8).expect("drawn");
        for port in &ports {
            TcpListener::bind(("127.0.0.1", *port)).expect("free");
        }
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 8);
    }

    #[test]
    fn a_suite_fails_with_what_failed_in_it() {
        finish("short", 3, 0, "x").expect("nothing failed");
        let failed = finish("short", 3, 2, "engram-harness x --seed 1").expect_err("two failed");
        assert_eq!(failed.to_string(), "2 of 5 failed; again: engram-harness x --seed 1");
    }

    #[test]
    fn a_star_stands_for_anything() {
        assert!(glob("*", "") && glob("a*c", "abc") && glob("*.spec*", "$.spec.x"));
        assert!(glob("abc", "abc") && !glob("abc", "abcd") && !glob("a*c", "abd"));
    }
}
