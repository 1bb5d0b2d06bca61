//! What the hub asks of the state: revisions, past events, past values.
//!
//! Invariant: whatever was given to [`crate::Hub::publish`] is visible here before. Reads are made
//! by the clients' tasks and are small: [`crate::Limits`] bounds the revisions and bytes of one.

use bytes::Bytes;
use store::{EventLimits, ReadError, Reader, Revision, RevisionEvents};

/// The past, at whose end the hub goes on.
pub trait History: Send + Sync {
    /// The current revision.
    fn revision(&self) -> Revision;

    /// The revision below which history is gone; events at it are still there.
    fn compacted_revision(&self) -> Revision;

    /// What happened in `from..=to`, as far as the limits allow: at least one revision, if any.
    ///
    /// # Shape
    /// Rising revisions, each whole. The caller goes on after the last one.
    ///
    /// # Errors
    /// [`ReadError::Compacted`] when `from` is below the compacted revision; storage errors.
    fn events(
        &self,
        from: Revision,
        to: Revision,
        limits: EventLimits,
    ) -> Result<Vec<RevisionEvents>, ReadError>;

    /// The encoded `KeyValue` of a key as of a revision; `None` when there was none.
    ///
    /// # Errors
    /// [`ReadError::Compacted`] when the revision is gone; storage errors.
    fn value_at(&self, key: &[u8], revision: Revision) -> Result<Option<Bytes>, ReadError>;
}

impl History for Reader {
    fn revision(&self) -> Revision {
        Reader::revision(self)
    }

    fn compacted_revision(&self) -> Revision {
        Reader::compacted_revision(self)
    }

    fn events(
        &self,
        from: Revision,
        to: Revision,
        limits: EventLimits,
    ) -> Result<Vec<RevisionEvents>, ReadError> {
        Reader::events(self, from, to, limits)
    }

    fn value_at(&self, key: &[u8], revision: Revision) -> Result<Option<Bytes>, ReadError> {
        Reader::value_at(self, key, revision)
    }
}
