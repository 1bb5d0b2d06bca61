//! Where a history comes from: a snapshot of etcd or of Engram, or a stopped etcd's data directory.
//!
//! Invariant: what is handed out was checked: the checksum at the end, the pages, and that a data
//! directory's database is not behind its log.
//! Must not know: where the history goes.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use bbolt::{BboltError, Database};

use super::etcd_wal;
use crate::ToolError;
use crate::catalogue::Id;

/// A database file, checked.
pub(super) type Opened = Database<File>;

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

/// Opens the database of a stopped etcd's data directory.
///
/// *Errors*: etcd runs in it; its log has entries that the database lacks.
pub(super) fn data_dir(path: &Path, wal_dir: Option<&Path>) -> Result<Opened, ToolError> {
    let shown = path.display();
    let (member, file_path) = member_and_database(path)?;
    let file = File::open(&file_path)?;
    match file.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let text = format!("{shown} is in use by a running etcd");
            return Err(ToolError::of(Id::InUse, text));
        }
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let database = Database::open(file)?;
    database.check()?;
    let applied = bbolt::etcd::contents(&database)?.consistent_index;
    let wal_dir = wal_dir.map_or_else(|| member.join("wal"), Path::to_owned);
    if !wal_dir.is_dir() {
        return Err(ToolError::Damaged(format!(
            "{} is missing: without etcd's log nobody can tell whether the database has all of it. \
             --from-wal-dir names another place",
            wal_dir.display()
        )));
    }
    let last = etcd_wal::last_index(&wal_dir)?;
    if last > applied {
        let text = format!(
            "{shown}: the log goes to entry {last}, the database only to {applied}: etcd did not \
             stop cleanly"
        );
        return Err(ToolError::of(Id::LogAhead, text));
    }
    Ok(database)
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
