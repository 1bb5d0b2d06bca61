//! Every bound of this room, in one place.
//!
//! Invariant: whatever clients do, a stream holds at most `queue_bytes_max` of queued events (or
//! one batch, when that alone is larger), `control_responses_max` answers to requests, and one
//! round's worth of answers being handed out.

/// What a hub and its streams may hold and do in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Watchers on one stream; one more is created and canceled at once.
    pub watchers_per_stream_max: usize,
    /// *Units*: bytes of queued events per stream, bookkeeping included. Beyond it the stream's
    /// watchers fall behind and read history.
    pub queue_bytes_max: usize,
    /// Queued batches of events and periodic progress per stream; beyond it as above.
    pub queue_items_max: usize,
    /// *Units*: bytes queued over all streams (shared bytes count for each). Beyond it, a stream
    /// that does not keep up falls behind although its own queue has room.
    pub hub_queue_bytes_max: usize,
    /// Answers to requests that wait for a client to read; beyond it, its requests wait.
    pub control_responses_max: usize,
    /// Revisions read from history in one round. Source: etcd sends at most 1000 in one answer.
    pub catch_up_revisions_max: usize,
    /// *Units*: bytes read from history, and made into answers, in one round.
    pub catch_up_bytes_max: usize,
    /// Watchers of one stream that share a round.
    pub catch_up_watchers_max: usize,
    /// *Units*: bytes of events after which an answer ends with its current revision.
    pub response_bytes_max: usize,
    /// *Units*: bytes of an answer beyond which it is split, for watchers that ask for it.
    /// Source: etcd uses its largest request plus 512 KiB.
    pub fragment_bytes_max: usize,
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// What a queued batch costs besides its bytes. *Units*: bytes.
pub(crate) const BATCH_OVERHEAD_BYTES: usize = 256;

/// What is set aside for the previous value of a put, on top of the size of the new one.
pub(crate) const PREVIOUS_OF_PUT_BYTES: usize = 256;

/// What is set aside for the previous value of a delete, whose size is not known until it is read.
pub(crate) const PREVIOUS_OF_DELETE_BYTES: usize = 4 * KIB;

/// Deletes with previous values after which an answer ends with its current revision.
pub(crate) const DELETES_WITH_PREVIOUS_MAX: usize = 32;

/// Watchers of a closing stream that leave the hub under one lock, so that publishing gets its
/// turn.
pub(crate) const CLOSE_SLICE: usize = 256;

const QUEUE_BYTES_DEFAULT: usize = 2 * MIB;
const RESPONSE_BYTES_DEFAULT: usize = MIB;
const FRAGMENT_BYTES_DEFAULT: usize = 2 * MIB;

const _: () = assert!(RESPONSE_BYTES_DEFAULT < QUEUE_BYTES_DEFAULT);
const _: () = assert!(RESPONSE_BYTES_DEFAULT < FRAGMENT_BYTES_DEFAULT);

impl Limits {
    /// Bounds of zero would let nothing through: a mistake of the caller, found at the start.
    pub(crate) fn assert_sound(&self) {
        let rounds = [
            self.catch_up_revisions_max,
            self.catch_up_bytes_max,
            self.catch_up_watchers_max,
            self.control_responses_max,
        ];
        assert!(rounds.iter().all(|bound| *bound > 0), "a bound is zero: {self:?}");
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            watchers_per_stream_max: 100_000,
            queue_bytes_max: QUEUE_BYTES_DEFAULT,
            queue_items_max: 16 * 1024,
            hub_queue_bytes_max: 512 * MIB,
            control_responses_max: 1024,
            catch_up_revisions_max: 1000,
            catch_up_bytes_max: MIB,
            catch_up_watchers_max: 256,
            response_bytes_max: RESPONSE_BYTES_DEFAULT,
            fragment_bytes_max: FRAGMENT_BYTES_DEFAULT,
        }
    }
}
