//! A member's data directory: made private, locked, laid out.
//!
//! ```text
//! <data-dir>/LOCK              held while a member runs
//! <data-dir>/member/state/     generations of the state
//! <data-dir>/member/raft/      the Raft log, unless --wal-dir names another place
//! <data-dir>/member/snapshots/ checkpoints while they are sent
//! <data-dir>/member/discovered the founding members, if they were found by discovery
//! ```

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The file of the founding members.
const DISCOVERED: &str = "discovered";

/// A data directory that is ours until this is dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    member: PathBuf,
    /// Held for its lock.
    _lock: File,
}

impl DataDir {
    /// Makes and locks the directory. *Errors*: it cannot be made, another process has it, or it is
    /// etcd's; nothing is written then.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        refuse_etcds(path)?;
        make_private(path).with_context(|| format!("cannot access data directory {shown}"))?;
        // A directory that nobody may write in shows here.
        let lock = File::options().create(true).truncate(false).write(true).open(path.join("LOCK"));
        let lock = lock.with_context(|| format!("cannot access data directory {shown}"))?;
        hold(&lock).with_context(|| format!("cannot lock data directory {shown}"))?;
        let member = path.join("member");
        make_private(&member).with_context(|| format!("cannot access {}", member.display()))?;
        Ok(DataDir { member, _lock: lock })
    }

    /// Whether a member has lived here before.
    pub(crate) fn is_initialized(&self) -> bool {
        self.state().exists()
    }

    /// The founding members that were found through another store, as `--initial-cluster` has
    /// them; none when none were looked for.
    pub(crate) fn discovered(&self) -> Result<Option<String>> {
        let path = self.member.join(DISCOVERED);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Keeps them. *Durability*: on return they are there after a power cut, whole.
    pub(crate) fn keep_discovered(&self, members: &str) -> Result<()> {
        let (path, new) = (self.member.join(DISCOVERED), self.member.join("discovered.new"));
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(members.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.member)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.member.join("state")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.member.join("raft")
    }

    /// The directory of snapshots under way, emptied: what is in it belongs to a past process.
    pub(crate) fn fresh_snapshots(&self) -> Result<PathBuf> {
        let path = self.member.join("snapshots");
        if path.exists() {
            fs::remove_dir_all(&path)
                .with_context(|| format!("cannot clear {}", path.display()))?;
        }
        make_private(&path).with_context(|| format!("cannot access {}", path.display()))?;
        Ok(path)
    }
}

/// Whoever exchanges the binaries alone would get an empty store beside the data that it came for.
fn refuse_etcds(path: &Path) -> Result<()> {
    let member = path.join("member");
    if member.join("snap/db").exists() && !member.join("state").exists() {
        let shown = path.display();
        bail!(
            "{shown} is a data directory of etcd: take it over with `engram util import {shown} \
             --data-dir NEW`, and start with --data-dir NEW"
        );
    }
    Ok(())
}

fn make_private(path: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            path = %path.display(),
            mode = format!("{mode:o}"),
            "others may read this directory; 700 is recommended"
        );
    }
    Ok(())
}

fn hold(lock: &File) -> Result<()> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => bail!("it is in use by another process"),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_is_private_and_has_one_owner() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("data");
        let first = DataDir::open(&path).expect("fresh");
        let mode = fs::metadata(&path).expect("made").permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
        let refused = DataDir::open(&path).expect_err("it is in use");
        assert!(format!("{refused:#}").contains("in use by another process"), "{refused:#}");
        drop(first);
        DataDir::open(&path).expect("free again");
    }

    #[test]
    fn a_directory_of_etcd_is_refused_and_left_as_it_is() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("data");
        fs::create_dir_all(path.join("member/snap")).expect("made");
        fs::write(path.join("member/snap/db"), b"").expect("written");
        let refused = DataDir::open(&path).expect_err("it is etcd's").to_string();
        assert!(refused.contains("engram util import"), "{refused}");
        assert!(!path.join("LOCK").exists(), "nothing is made");
        assert_eq!(fs::read_dir(path.join("member")).expect("read").count(), 1);
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_refused() {
        let parent = tempfile::tempdir().expect("a temporary directory");
        let path = parent.path().join("data");
        fs::write(&path, b"").expect("written");
        assert!(DataDir::open(&path).is_err());
    }
}
