//! The words of the storage: what is asked and what is answered.
//!
//! Must not know: how a store is reached.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use super::StorageError;

/// A revision of the store; as text, a `resourceVersion`.
///
/// *Units*: counts writes of the whole store; 0 stands for "none" or "the newest", as said where
/// it is used.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// No revision.
    pub const NONE: Revision = Revision(0);

    /// The following revision.
    #[must_use]
    pub fn next(self) -> Revision {
        Revision(self.0.saturating_add(1))
    }

    /// As etcd writes it.
    pub(crate) fn signed(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// As read from etcd, which has no negative revisions.
    pub(crate) fn of(signed: i64) -> Revision {
        Revision(u64::try_from(signed).unwrap_or(0))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl FromStr for Revision {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Revision)
    }
}

/// A key with its value and revisions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The key, relative to the storage's prefix.
    pub key: String,
    /// The value. It may share a larger buffer: copy what is kept for long.
    pub value: Bytes,
    /// The revision of the last write: the object's `resourceVersion`.
    pub revision: Revision,
    /// The revision at which the key came to be.
    pub create_revision: Revision,
}

/// The state of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    /// The key's value, if it exists.
    pub stored: Option<Stored>,
    /// The store's revision at which this was read.
    pub revision: Revision,
}

/// A range of keys to be read.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// All keys that begin with this; ends with `/` where a folder is meant.
    pub prefix: &'a str,
    /// The first key, where reading goes on in the middle of the range; inclusive.
    pub start: Option<&'a str>,
    /// The most keys to answer; 0 for all.
    pub limit: usize,
    /// The revision to read at; [`Revision::NONE`] for the newest, linearizable.
    pub revision: Revision,
}

/// A page of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageAnswer {
    /// The keys, in order.
    pub items: Vec<Stored>,
    /// Whether the limit left some out.
    pub more: bool,
    /// How many keys the range has from the page's start to its end, page included.
    pub count: usize,
    /// The revision that was read: the one asked for, or the newest.
    pub revision: Revision,
}

/// How a write on a condition ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It was done, at this revision.
    Done {
        /// The revision of the write.
        revision: Revision,
    },
    /// The key was not as expected, and nothing was changed.
    Changed {
        /// What the key is now, read in the same transaction; none if it does not exist.
        current: Option<Stored>,
        /// The store's revision of that.
        revision: Revision,
    },
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy)]
pub struct WatchFrom<'a> {
    /// All keys that begin with this.
    pub prefix: &'a str,
    /// The first revision delivered; inclusive.
    pub revision: Revision,
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came to be.
    Created,
    /// Its value was replaced.
    Replaced,
    /// It was removed.
    Deleted,
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The key, relative to the storage's prefix.
    pub key: String,
    /// The revision of the change, also of a deletion.
    pub revision: Revision,
    /// The value after it; empty for a deletion.
    pub value: Bytes,
    /// The value before it; none for a creation, and where the store has forgotten it.
    pub previous: Option<Bytes>,
}

/// Some changes, or word of how far the watch has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Changes in the order of their revisions.
    pub changes: Vec<Change>,
    /// When given: everything up to and with this revision has been delivered.
    pub progress: Option<Revision>,
}

/// The batches of a watch, and how to ask for progress.
pub type WatchingParts =
    (BoxStream<'static, Result<Batch, StorageError>>, Box<dyn Fn() + Send + Sync>);

/// An open watch.
///
/// *Shape*: batches in the order of revisions, without gaps; after an error nothing follows.
/// *Errors*: [`StorageError::Compacted`] when the next revision is gone: list anew;
/// [`StorageError::Unavailable`] when the store was lost: open again from the revision after the
/// last one that was seen. *Cancellation*: dropping it ends the watch.
pub struct Watching {
    batches: BoxStream<'static, Result<Batch, StorageError>>,
    request_progress: Box<dyn Fn() + Send + Sync>,
}

impl Watching {
    /// Puts a watch together: its batches, and how to ask for progress.
    pub fn new(
        batches: BoxStream<'static, Result<Batch, StorageError>>,
        request_progress: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        Watching { batches, request_progress: Box::new(request_progress) }
    }

    /// The parts it was put together from.
    #[must_use]
    pub fn into_parts(self) -> WatchingParts {
        (self.batches, self.request_progress)
    }

    /// The next batch; none when the watch is over.
    ///
    /// *Cancellation*: safe, nothing is lost.
    pub async fn next(&mut self) -> Option<Result<Batch, StorageError>> {
        self.batches.next().await
    }

    /// Asks the store to tell how far the watch has come. The answer is a batch with `progress`;
    /// none comes while the watch is still catching up, so ask again after a while.
    pub fn request_progress(&self) {
        (self.request_progress)();
    }
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}
