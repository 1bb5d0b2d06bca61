//! What a read looks at: a root, and the rows of a batch that are not in the engine yet.
//!
//! Invariant: a row that the index names is found, or the state is too old (`Missing`): then a
//! reader tries again on a newer root, and a writer, which has the newest one, stops the member.

use std::cell::Cell;

use bytes::Bytes;

use crate::engine::Space;
use crate::error::StorageError;
use crate::index::{At, KeyState};
use crate::layout::put_name;
use crate::limits::FETCH_ROWS_MAX;
use crate::root::Root;
use crate::types::{Revision, RowRevision};

/// Why a view could not be read.
#[derive(Debug)]
pub(crate) enum ViewError {
    /// A revision below the compacted one was asked for.
    Compacted,
    /// A revision above the current one was asked for.
    FutureRevision,
    /// A row was compacted away since the root was published.
    Missing(RowRevision),
    /// The engine failed.
    Storage(StorageError),
}

impl From<StorageError> for ViewError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

/// The rows a batch has put so far, by rising row revision: its overlay over the engine.
pub(crate) type PendingRows = Vec<(RowRevision, Bytes)>;

/// See the module's page.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) root: &'a Root,
    pub(crate) pending: &'a [(RowRevision, Bytes)],
    /// The newest revision to be seen: the root's, or the next one inside a transaction that has
    /// written.
    pub(crate) revision: i64,
    /// Notes the oldest revision that was looked at, for those whose root may be compacted
    /// meanwhile.
    pub(crate) oldest: Option<&'a Cell<i64>>,
}

impl<'a> View<'a> {
    /// What a reader sees. Afterwards `oldest` tells the oldest revision that was looked at.
    pub(crate) fn of(root: &'a Root, oldest: &'a Cell<i64>) -> Self {
        oldest.set(root.revision);
        Self { root, pending: &[], revision: root.revision, oldest: Some(oldest) }
    }

    /// The moment a request means. *Errors*: it is outside of the history. 0 and below mean now.
    pub(crate) fn moment(&self, requested: i64) -> Result<(i64, At), ViewError> {
        if requested > self.revision {
            return Err(ViewError::FutureRevision);
        }
        let revision = if requested <= 0 { self.revision } else { requested };
        if revision < self.root.compacted {
            return Err(ViewError::Compacted);
        }
        self.looks_back_to(revision);
        let latest = revision == self.revision;
        Ok((revision, if latest { At::Latest } else { At::Revision(Revision(revision)) }))
    }

    /// Notes that rows at or above this revision matter, also superseded ones.
    pub(crate) fn looks_back_to(&self, revision: i64) {
        if let Some(oldest) = self.oldest {
            oldest.set(oldest.get().min(revision));
        }
    }

    /// The encoded `KeyValue` of a put.
    pub(crate) fn row(&self, at: RowRevision) -> Result<Bytes, ViewError> {
        if let Some(row) = self.pending_row(at) {
            return Ok(row);
        }
        let row = self.root.engine.get(Space::KeyValues, &put_name(at))?;
        row.ok_or(ViewError::Missing(at))
    }

    /// The encoded `KeyValue`s of many puts, in the order asked for.
    pub(crate) fn rows(&self, wanted: &[RowRevision]) -> Result<Vec<Bytes>, ViewError> {
        if let [one] = wanted {
            return Ok(vec![self.row(*one)?]);
        }
        let mut rows = Vec::with_capacity(wanted.len());
        for wanted in wanted.chunks(FETCH_ROWS_MAX) {
            if self.pending.is_empty() {
                self.fetch(wanted, &mut rows)?;
            } else {
                for at in wanted {
                    rows.push(self.row(*at)?);
                }
            }
        }
        Ok(rows)
    }

    fn fetch(&self, wanted: &[RowRevision], rows: &mut Vec<Bytes>) -> Result<(), ViewError> {
        let names: Vec<_> = wanted.iter().map(|at| put_name(*at)).collect();
        let names: Vec<&[u8]> = names.iter().map(|name| name.as_slice()).collect();
        let found = self.root.engine.multi_get(Space::KeyValues, &names)?;
        for (row, at) in found.into_iter().zip(wanted) {
            rows.push(row.ok_or(ViewError::Missing(*at))?);
        }
        Ok(())
    }

    fn pending_row(&self, at: RowRevision) -> Option<Bytes> {
        let place = self.pending.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        Some(self.pending[place].1.clone())
    }

    /// What a key is now.
    pub(crate) fn state(&self, key: &[u8]) -> Option<KeyState> {
        self.root.index.get(key, At::Latest)
    }

    /// The encoded `KeyValue` a key has now.
    pub(crate) fn current(&self, key: &[u8]) -> Result<Option<Bytes>, ViewError> {
        self.state(key).map(|state| self.row(state.modified)).transpose()
    }
}
