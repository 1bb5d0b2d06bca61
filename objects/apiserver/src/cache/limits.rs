//! Every bound and every time of a cache.

use std::time::Duration;

/// The most recent changes kept for watchers, and their bytes. A watcher that falls behind further
/// is ended, and one that begins further back is told 410. The bytes hold only above the minimum.
pub(super) const RECENT_MAX: usize = 4096;
pub(super) const RECENT_MIN: usize = 256;
pub(super) const RECENT_BYTES_MAX: usize = 32 << 20;
/// Changes a watcher takes at once; it is all that a watcher holds of its own.
pub(super) const TAKE_MAX: usize = 64;
/// Earlier states kept for lists that are read page by page; older ones are read from the store.
pub(super) const STATES_MAX: usize = 64;
/// Objects in a chunk of a snapshot: an update copies one chunk's pointers.
pub(super) const CHUNK_MAX: usize = 256;
/// Keys read at once when the cache is filled, and when a list is read from the store.
pub(super) const FILL_PAGE: usize = 1000;
pub(super) const PAGE_MAX: usize = 10_000;
/// How long a read waits for the watch to pass its revision.
///
/// *Source*: kube-apiserver waits three seconds, and tells to try again after one.
pub(super) const FRESH_TIMEOUT: Duration = Duration::from_secs(3);
pub(super) const RETRY_AFTER_SECONDS: u32 = 1;
/// How long a read that waits lets pass before it asks for progress again: a store whose watch is
/// catching up does not answer.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How often an idle watch is asked for progress, so that bookmarks stay ahead of compaction.
pub(super) const IDLE_PROGRESS: Duration = Duration::from_secs(10);
/// How long the task waits before it tries a store that failed again: at first, and at most, since
/// the caches of all resources try.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(50);
pub(super) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// How often a watcher that asked for bookmarks gets one, and how long before its end.
///
/// *Source*: kube-apiserver: one minute, two seconds.
pub(super) const BOOKMARK_INTERVAL: Duration = Duration::from_secs(60);
pub(super) const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

const _: () = assert!(TAKE_MAX < RECENT_MIN && RECENT_MIN <= RECENT_MAX);
const _: () = assert!(CHUNK_MAX >= 2);
