//! How much is taken at once.
//!
//! Invariant: a request that waits for nothing but its turn is refused, never queued: whoever asks
//! knows better when to ask again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The largest request body, in bytes. Compat: kube-apiserver's.
pub(crate) const BODY_BYTES_MAX: usize = 3 * 1024 * 1024;
/// How long a request may take that is no watch.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a handshake, or the head of a request, may take.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that a connection may have open, watches included.
pub(crate) const STREAMS_PER_CONNECTION_MAX: u32 = 1_000;
/// The size of a request's head, in bytes.
pub(crate) const HEAD_BYTES_MAX: u32 = 1024 * 1024;
/// What is read ahead of one stream and of one connection, in bytes.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// What is read, in bytes, and for how long, of a request that was answered before its end.
pub(crate) const UNREAD_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;
pub(crate) const UNREAD_TIMEOUT: Duration = Duration::from_secs(1);

/// The seats of requests under way.
#[derive(Debug)]
pub(crate) struct Seats {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl Seats {
    /// So many requests at a time.
    pub(crate) fn new(reads_max: usize, writes_max: usize) -> Self {
        Seats {
            reads: Arc::new(Semaphore::new(reads_max)),
            writes: Arc::new(Semaphore::new(writes_max)),
        }
    }

    /// Takes a seat, given back when it is dropped; none when all are taken.
    pub(crate) fn take(&self, writes: bool) -> Option<OwnedSemaphorePermit> {
        let seats = if writes { &self.writes } else { &self.reads };
        Arc::clone(seats).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_have_their_own_seats() {
        let seats = Seats::new(1, 1);
        let read = seats.take(false).expect("free");
        assert!(seats.take(false).is_none());
        assert!(seats.take(true).is_some());
        drop(read);
        assert!(seats.take(false).is_some());
    }
}
