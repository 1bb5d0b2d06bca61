//! A member's data directory, held for one tool while no member runs in it.
//!
//! ```text
//! <data-dir>/LOCK              held by the member that runs, or by a tool
//! <data-dir>/member/state/     the state
//! <data-dir>/member/raft/      the Raft log, unless --wal-dir names another place
//! ```
//!
//! Must not know: what is in state and log.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::ToolError;
use crate::catalogue::Id;

/// Where a member keeps its files.
#[derive(Debug, Args)]
pub(super) struct DataDir {
    /// The member's data directory.
    #[arg(long, env = "ETCD_DATA_DIR")]
    data_dir: PathBuf,
    /// The Raft log's directory, if it is not inside the data directory.
    #[arg(long, env = "ETCD_WAL_DIR")]
    wal_dir: Option<PathBuf>,
}

/// A data directory that no member uses while this lives.
#[derive(Debug)]
pub(super) struct Held {
    member: PathBuf,
    wal_dir: Option<PathBuf>,
    /// Held for its lock; none when no member was ever started there by a release with locks.
    _lock: Option<File>,
}

impl DataDir {
    /// Locks the directory of a stopped member. *Errors*: it is in use, or is none.
    pub(super) fn hold(&self) -> Result<Held, ToolError> {
        hold(&self.data_dir, self.wal_dir.clone())
    }
}

/// Locks the directory of a stopped member.
pub(super) fn hold(data_dir: &Path, wal_dir: Option<PathBuf>) -> Result<Held, ToolError> {
    let member = data_dir.join("member");
    if !member.join("state").is_dir() {
        let what = match member.join("snap/db").is_file() {
            true => "is a data directory of etcd: `engram util import` takes it over",
            false => "is no data directory of a member: it has no member/state",
        };
        return Err(ToolError::Damaged(format!("{} {what}", data_dir.display())));
    }
    let lock = match File::options().write(true).open(data_dir.join("LOCK")) {
        Ok(lock) => Some(lock),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(lock) = &lock {
        take(lock, data_dir)?;
    }
    Ok(Held { member, wal_dir, _lock: lock })
}

fn take(lock: &File, data_dir: &Path) -> Result<(), ToolError> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(ToolError::of(
            Id::InUse,
            format!("{} is in use by a running member", data_dir.display()),
        )),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

impl Held {
    /// Removes what [`create`] made, so that the next try finds the directory as it was.
    pub(super) fn abandon(self, data_dir: &Path) {
        // What cannot be removed is found by the next try, which says so.
        let _ = fs::remove_dir_all(&self.member);
        let _ = fs::remove_file(data_dir.join("LOCK"));
        let _ = fs::remove_dir(data_dir);
    }

    pub(super) fn state(&self) -> PathBuf {
        self.member.join("state")
    }

    /// Compat: `--wal-dir` names the log's directory itself.
    pub(super) fn log(&self) -> PathBuf {
        self.wal_dir.clone().unwrap_or_else(|| self.member.join("raft"))
    }
}

/// Makes a data directory for a member that does not exist yet, and locks it.
///
/// *Errors*: in etcdutl's words: something is there already.
pub(super) fn create(data_dir: &Path, wal_dir: Option<PathBuf>) -> Result<Held, ToolError> {
    let empty = match fs::read_dir(data_dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if !empty {
        let shown = data_dir.display().to_string();
        let text = format!("data-dir {shown:?} not empty or could not be read");
        return Err(ToolError::Damaged(text));
    }
    if let Some(wal_dir) = wal_dir.as_ref().filter(|path| path.exists()) {
        let shown = wal_dir.display().to_string();
        return Err(ToolError::Damaged(format!("wal-dir {shown:?} exists")));
    }
    let member = data_dir.join("member");
    for path in [&data_dir.to_owned(), &member, &member.join("state")] {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    }
    let lock =
        File::options().create(true).truncate(false).write(true).open(data_dir.join("LOCK"))?;
    take(&lock, data_dir)?;
    Ok(Held { member, wal_dir, _lock: Some(lock) })
}

/// A directory of a tool's own, removed with its value.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new() -> Result<Self, ToolError> {
        let path = std::env::temp_dir().join(format!("engram-util-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's folder for such things.
        let _ = fs::remove_dir_all(&self.0);
    }
}
