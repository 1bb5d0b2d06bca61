//! One watcher: where it stands, and what its answers look like.
//!
//! Invariants: of a watcher that is behind, all events below `next` were handed out and none from
//! it on; of one that is live, all below `next` were or will be in the round of history under way,
//! and all from it on are queued. Only an announced watcher (its `created` was handed out) reads
//! history.

use std::sync::Arc;

use store::Revision;

use crate::groups::GroupId;
use crate::interest::Interest;

/// Asks again whether a watcher's client may see its range; the error becomes the cancel reason.
pub type Recheck = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Where a watcher gets its events from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// From the queue of its stream, where its group puts them.
    Live(GroupId),
    /// From history.
    Behind,
    /// From nowhere until its start comes near.
    Future,
}

/// Names a watcher for good: ids can be used again after a cancel.
pub(crate) type Serial = u64;

/// One watcher of a stream.
pub(crate) struct Watcher {
    pub(crate) serial: Serial,
    pub(crate) interest: Arc<Interest>,
    pub(crate) mode: Mode,
    /// No event below this is (any more) due from where the mode says.
    pub(crate) next: Revision,
    /// The start as asked; 0 = from now. Progress below it is not said.
    pub(crate) start: Revision,
    pub(crate) fragment: bool,
    pub(crate) progress_notify: bool,
    pub(crate) announced: bool,
    /// No events since the last tick, so that the next one is worth saying something.
    pub(crate) idle: bool,
    /// A periodic progress waits in the queue.
    pub(crate) progress_queued: bool,
    pub(crate) recheck: Option<Recheck>,
}
