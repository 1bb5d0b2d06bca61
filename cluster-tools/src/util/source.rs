//! Where a history comes from: a snapshot of etcd or of Engram, or a stopped etcd's data directory.
//!
//! Invariant: what is handed out was checked: the checksum at the end, the pages, and all of a data
//! directory's log, which goes on where the database ends.
//! Must not know: where the history goes.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use bbolt::{BboltError, Database};

use super::etcd_log::{EtcdLog, Later};
use crate::ToolError;
use crate::catalogue::Id;

/// A database file, checked.
pub(super) type Opened = Database<File>;

/// All that was kept somewhere.
pub(super) struct History {
    /// What was written into the database.
    pub(super) database: Opened,
    /// What was only in the log yet.
    pub(super) later: Later,
}

impl From<Opened> for History {
    fn from(database: Opened) -> Self {
        Self { database, later: Later::default() }
    }
}

impl From<BboltError> for ToolError {
    fn from(error: BboltError) -> Self {
        match error {
            BboltError::Io(error) => Self::Io(error),
            other => Self::Damaged(other.to_string()),
        }
    }
}

/// Opens a snapshot file. `skip_hash_check`: one without a checksum, or with a wrong one, is taken.
pub(super) fn snapshot(path: &Path, skip_hash_check: bool) -> Result<Opened, ToolError> {
    let named = |error: ToolError| match error {
        ToolError::Io(error) => ToolError::Damaged(format!("{}: {error}", path.display())),
        ToolError::Damaged(what) => ToolError::Damaged(format!("{}: {what}", path.display())),
        other => other,
    };
    let open = || -> Result<Opened, ToolError> {
        let file = File::open(path)?;
        if !skip_hash_check {
            bbolt::check_trailer(&file)?;
        }
        let database = Database::open(file)?;
        database.check()?;
        Ok(database)
    };
    open().map_err(named)
}

/// Opens a file to be looked at: a wrong checksum is an error, a missing one is not.
pub(super) fn any_file(path: &Path) -> Result<Opened, ToolError> {
    let length = std::fs::metadata(path)
        .map_err(|error| ToolError::Damaged(format!("{}: {error}", path.display())))?
        .len();
    snapshot(path, !bbolt::has_trailer(length))
}

/// Opens the database and the log of a stopped etcd's data directory.
///
/// *Errors*: etcd runs in it; its log is damaged, or of another member than the database.
pub(super) fn data_dir(path: &Path, wal_dir: Option<&Path>) -> Result<History, ToolError> {
    let (member, file_path) = member_and_database(path)?;
    // Held until the log is read: etcd would write into both.
    let file = unused(path, &file_path)?;
    let wal_dir = wal_dir.map_or_else(|| member.join("wal"), Path::to_owned);
    if !wal_dir.is_dir() {
        return Err(ToolError::Damaged(format!(
            "{} is missing: without etcd's log nobody can tell whether the database has all of it. \
             --from-wal-dir names another place",
            wal_dir.display()
        )));
    }
    let log = EtcdLog::open(&wal_dir)?;
    let mut database = checked(file)?;
    let mut contents = bbolt::etcd::contents(&database)?;
    let snapshot = log.snapshot_index();
    if snapshot > contents.consistent_index {
        // Compat: etcd was sent a database, and had not put it into the place of its own yet.
        let sent = member.join(format!("snap/{snapshot:016x}.snap.db"));
        let file = File::open(&sent).map_err(|error| {
            let applied = contents.consistent_index;
            ToolError::of(
                Id::EtcdLog,
                format!(
                    "the database goes to entry {applied}, the snapshot to {snapshot}, and {} \
                     cannot be opened: {error}",
                    sent.display()
                ),
            )
        })?;
        database = checked(file)?;
        contents = bbolt::etcd::contents(&database)?;
    }
    let later = log.after(&wal_dir, &contents)?;
    Ok(History { database, later })
}

fn checked(file: File) -> Result<Opened, ToolError> {
    let database = Database::open(file)?;
    database.check()?;
    Ok(database)
}

/// Opens a database that no etcd has open.
fn unused(data_dir: &Path, path: &Path) -> Result<File, ToolError> {
    let file = File::open(path)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let text = format!("{} is in use by a running etcd", data_dir.display());
            Err(ToolError::of(Id::InUse, text))
        }
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// The folder `member`, and the database in it.
fn member_and_database(path: &Path) -> Result<(PathBuf, PathBuf), ToolError> {
    for member in [path.join("member"), path.to_owned()] {
        let database = member.join("snap/db");
        if database.is_file() {
            return Ok((member, database));
        }
    }
    let what = match path.join("member/state").is_dir() {
        true => "is a data directory of Engram already: nothing is to be imported",
        false => "is no data directory of etcd: it has no member/snap/db",
    };
    Err(ToolError::Damaged(format!("{} {what}", path.display())))
}
