//! The kinds of answers a stream gives, as messages.
//!
//! Invariant: the header carries the revision only; ids and term are the server's.

use proto::etcdserverpb::ResponseHeader;
use proto::spliced::{EncodedEvents, WatchResponse};
use store::Revision;

/// The id that stands for no watcher, or for all of a stream. Source: etcd.
pub(crate) const NO_WATCHER: i64 = -1;

fn empty(watch_id: i64, revision: Revision) -> WatchResponse {
    let header = Some(ResponseHeader { revision: revision.0, ..ResponseHeader::default() });
    WatchResponse { header, watch_id, ..WatchResponse::default() }
}

/// A watcher was created.
pub(crate) fn created(watch_id: i64, revision: Revision) -> WatchResponse {
    WatchResponse { created: true, ..empty(watch_id, revision) }
}

/// A watcher did not come into being.
pub(crate) fn refused(reason: String, revision: Revision) -> WatchResponse {
    WatchResponse {
        created: true,
        canceled: true,
        cancel_reason: reason,
        ..empty(NO_WATCHER, revision)
    }
}

/// A watcher was canceled; the reason is empty when its client asked for it.
pub(crate) fn canceled(watch_id: i64, reason: String, revision: Revision) -> WatchResponse {
    WatchResponse { canceled: true, cancel_reason: reason, ..empty(watch_id, revision) }
}

/// A watcher needs history that is compacted. Compat: etcd gives no reason and revision 0.
pub(crate) fn compacted(watch_id: i64, compact_revision: Revision) -> WatchResponse {
    WatchResponse {
        canceled: true,
        compact_revision: compact_revision.0,
        ..empty(watch_id, Revision(0))
    }
}

/// All events up to the revision were sent.
pub(crate) fn progress(watch_id: i64, revision: Revision) -> WatchResponse {
    empty(watch_id, revision)
}

/// Events of a watcher.
pub(crate) fn events(
    watch_id: i64,
    revision: Revision,
    fragment: bool,
    events: EncodedEvents,
) -> WatchResponse {
    WatchResponse { fragment, events, ..empty(watch_id, revision) }
}
