//! Every bound of this room, in one place.

use crate::engine::Space;

/// The state machine this code runs. A batch or a command that asks for a higher one stops the
/// member. Raised by whatever makes a command or a membership come to another state than the last
/// release made of it; there was none yet, so all that was added until then is part of the first.
pub const STATE_MACHINE_VERSION: u32 = 1;

/// The most a lease may live. *Units*: seconds. Source: etcd's `MaxLeaseTTL`.
pub const LEASE_TTL_MAX_S: i64 = 9_000_000_000;

/// The operations of one list of a transaction when the configuration says nothing. Source: etcd.
pub const TXN_OPS_DEFAULT: usize = 128;

/// How deep transactions may nest. etcd has no such bound, but a log entry wraps the request in a
/// few more messages, and a decoder that meets more than a hundred levels refuses it all.
pub const TXN_DEPTH_MAX: usize = 32;

/// Levels of messages that prost decodes before it refuses.
const DECODE_DEPTH_MAX: usize = 100;

/// Levels around a request: log entry, batch, command, and the peers' envelope.
const ENVELOPE_DEPTH_MAX: usize = 8;

const _: () = assert!(TXN_DEPTH_MAX * 2 + ENVELOPE_DEPTH_MAX < DECODE_DEPTH_MAX);

/// Rows fetched from the engine in one call.
pub(crate) const FETCH_ROWS_MAX: usize = 1024;

/// How often a read is tried again on a newer state, when rows were compacted away under it.
pub(crate) const READ_ATTEMPTS_MAX: usize = 16;

/// A stored row of state may decode to at most this. *Units*: bytes. Membership is the largest.
pub(crate) const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;

const _: () = assert!(Space::ALL.len() <= u8::MAX as usize);
