//! Every bound of this room in one place.
//!
//! Invariant: nothing in the room grows with the load alone; each queue, message and cache names
//! its limit here, and limits that depend on each other are tied below.
//! Must not know: flags and their defaults (those belong to `server`).

use std::time::Duration;

/// Largest encoded batch the batcher builds out of several commands, in bytes. One command may be
/// larger by itself: it then travels alone.
pub(crate) const BATCH_BYTES_MAX: usize = 1 << 20;

/// Most commands in one batch.
pub(crate) const BATCH_COMMANDS_MAX: usize = 4096;

/// Batches handed to the log whose commit is still unknown. Two keep the disk and the network busy
/// while the next batch gathers everything that waits; more would only make batches smaller.
pub(crate) const BATCHES_UNCOMMITTED_MAX: usize = 2;

/// Commands queued, not committed or not applied before `too many requests` is answered.
pub(crate) const PENDING_COMMANDS_MAX: usize = 16_384;

/// Bytes of commands queued, not committed or not applied before `too many requests` is answered.
pub(crate) const PENDING_BYTES_MAX: usize = 256 << 20;

/// Largest single command accepted for the log, in bytes (above etcd's 1.5 MiB default request plus
/// its header, with room for a raised `--max-request-bytes`).
pub(crate) const COMMAND_BYTES_MAX: usize = 64 << 20;

/// The highest term that a peer may name: no cluster gets there, and all elections that could ever
/// be held after it still have a term.
pub(crate) const TERM_MAX: u64 = 1 << 62;

/// The highest index that a peer may name, for the same reason.
pub(crate) const LOG_INDEX_MAX: u64 = 1 << 62;

/// Members whose data directory is remembered. A cluster has a handful, and some that were
/// replaced; whoever else dials the peers' port must not fill a file and the memory.
pub(crate) const KNOWN_PEERS_MAX: usize = 1024;

/// Largest append message sent to a peer, in bytes, unless a single entry is larger.
pub(crate) const APPEND_BYTES_MAX: usize = 1 << 20;

/// Entries in one append message; bytes are the bound that counts.
pub(crate) const APPEND_ENTRIES_MAX: u64 = 512;

/// Append messages on the way to one peer and not answered yet.
pub(crate) const APPENDS_IN_FLIGHT_MAX: usize = 64;

/// Bytes of append messages on the way to one peer and not answered yet.
pub(crate) const APPEND_BYTES_IN_FLIGHT_MAX: usize = 16 << 20;

/// One piece of a snapshot file on the wire, in bytes.
pub(crate) const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;

/// How long a part of a snapshot waits on the disk for somebody to go on with it.
pub(crate) const PARTIAL_SNAPSHOT_KEPT: Duration = Duration::from_secs(600);

/// Entries handed to the apply thread at once.
pub(crate) const APPLY_ENTRIES_MAX: usize = 64;

/// Bytes of entries handed to the apply thread at once.
pub(crate) const APPLY_BYTES_MAX: usize = 4 << 20;

/// State digests of the newest applied entries a member keeps for comparison with its peers.
pub(crate) const DIGESTS_KEPT: usize = 4096;

/// Rows one step of physical compaction may visit between two batches.
pub(crate) const COMPACT_ROWS_MAX: usize = 512;

/// Most commands of lease revocation moved ahead of the others in one batch.
pub(crate) const URGENT_COMMANDS_MAX: usize = 1024;

/// How long `shutdown` waits for a peer to take the leadership over.
pub(crate) const TRANSFER_ON_SHUTDOWN: Duration = Duration::from_millis(1000);

const _: () = assert!(BATCH_BYTES_MAX <= PENDING_BYTES_MAX);
const _: () = assert!(BATCH_COMMANDS_MAX <= PENDING_COMMANDS_MAX);
const _: () = assert!(APPEND_BYTES_MAX <= APPEND_BYTES_IN_FLIGHT_MAX);
const _: () = assert!(BATCH_BYTES_MAX <= APPEND_BYTES_MAX);
const _: () = assert!(URGENT_COMMANDS_MAX <= BATCH_COMMANDS_MAX);
