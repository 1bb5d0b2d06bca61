//! Whether files changed since they were read: by their size, times and number.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What a file was like; none when it is not there.
///
/// The time of change tells also of another owner or mode, which may make it unreadable.
type Stamp = Option<(u64, i64, i64, i64, i64, u64)>;

/// What several files were like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Stamp>);

impl Stamps {
    /// Asks the file system; a symbolic link is followed, so that exchanging it counts.
    pub(super) fn of(files: &[PathBuf]) -> Self {
        Stamps(files.iter().map(|file| stamp(file)).collect())
    }
}

fn stamp(file: &Path) -> Stamp {
    let found = super::files::metadata(file)?;
    let (written, changed) =
        ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
    Some((found.size(), written.0, written.1, changed.0, changed.1, found.ino()))
}
