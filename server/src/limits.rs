//! The bounds of the doors, in one place. Sizes in bytes unless the name says otherwise.

use std::time::Duration;

/// Longest election timeout. *Source*: etcd `maxElectionMs`.
pub const ELECTION_TIMEOUT_MS_MAX: u64 = 50_000;
/// Quota when none is given. *Source*: etcd: 2 GiB.
pub const QUOTA_BYTES_DEFAULT: u64 = 2 * 1024 * 1024 * 1024;
/// A larger quota is warned about. *Source*: etcd: 8 GiB.
pub const QUOTA_BYTES_ADVISED_MAX: u64 = 8 * 1024 * 1024 * 1024;
/// A larger `--max-request-bytes` is warned about. *Source*: etcd: 10 MiB.
pub const REQUEST_BYTES_ADVISED_MAX: u64 = 10 * 1024 * 1024;
/// Largest value that `--max-request-bytes` may have here. etcd only warns above 10 MiB.
pub const REQUEST_BYTES_CEILING: u64 = 64 * 1024 * 1024;
/// A message may be this much larger on the wire than `--max-request-bytes`. *Source*: etcd.
pub const REQUEST_OVERHEAD_BYTES: usize = 512 * 1024;
/// Largest lease time in seconds. *Source*: etcd `MaxLeaseTTL`.
pub const LEASE_TTL_S_MAX: i64 = 9_000_000_000;
/// How often the leader looks for expired leases. *Source*: etcd.
pub const LEASE_SCAN_INTERVAL: Duration = Duration::from_millis(500);
/// Most leases revoked per scan. *Source*: etcd: 1000 per second.
pub const LEASE_REVOKES_PER_SCAN_MAX: usize = 500;
/// How often the remaining time of a lease is written into the log. *Source*: etcd.
pub const LEASE_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(300);
/// Most checkpoints in one command. *Source*: etcd.
pub const LEASE_CHECKPOINTS_PER_COMMAND_MAX: usize = 1000;
/// After how long an expired lease whose revoke failed is tried again. *Source*: etcd.
pub const LEASE_REVOKE_RETRY: Duration = Duration::from_secs(3);
/// First chunk of a RangeStream, in keys. *Source*: etcd.
pub const RANGE_STREAM_FIRST_CHUNK_KEYS: i64 = 10;
/// Streams opened with `hasleader` are ended after this many election timeouts without a leader.
pub const NO_LEADER_TIMEOUTS_MAX: u32 = 3;
/// Answers waiting in a keep-alive or range stream; when full, reading of requests stops.
pub const STREAM_QUEUE_MESSAGES: usize = 16;
/// HTTP/2 stream window: one request of full size fits without a round trip.
pub const HTTP2_STREAM_WINDOW: u32 = 2 * 1024 * 1024;
/// HTTP/2 connection window.
pub const HTTP2_CONNECTION_WINDOW: u32 = 8 * 1024 * 1024;
/// Largest HTTP/2 frame we send; large pages then need fewer writes.
pub const HTTP2_FRAME_BYTES_MAX: u32 = 64 * 1024;
/// Calls that a client may cancel before they were looked at; more end its connection. Guards
/// against rapid resets; a client that gives up many calls at once is not punished.
pub const HTTP2_PENDING_RESETS_MAX: usize = 1024;
/// Ranges without a limit that are read at a time; further ones wait. Each holds its whole answer.
pub const LARGE_RANGES_MAX: usize = 8;
/// Snapshots made and sent at a time; further ones wait. Each takes the room of the state on disk.
pub const SNAPSHOTS_MAX: usize = 4;
/// One piece of a snapshot. *Source*: etcd.
pub const SNAPSHOT_CHUNK_BYTES: u64 = 32 * 1024;
/// Pieces that wait for the client; when full, reading of the file stops.
pub const SNAPSHOT_CHUNKS_QUEUED_MAX: usize = 16;
/// A JSON value may have this many bytes for each byte of the largest request: base64 needs 4/3,
/// and names, spaces and escapes come on top. What is larger is refused while it is read.
pub const GATEWAY_VALUE_PER_REQUEST_BYTE: usize = 4;
/// Passwords that are hashed or compared at a time; further ones wait. Each takes a core for some
/// tens of milliseconds.
pub const HASHES_MAX: usize = 4;
/// A TLS handshake, and the first byte of any connection, must have come within this time.
/// *Source*: etcd: 10 s for handshakes; in the clear it waits for ever.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// After that, a whole HTTP/2 preface or as much of a request must come within this time.
pub const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// The headers of an HTTP/1 request must come within this time, also those of the next one.
/// *Source*: etcd waits 5 min.
pub const HTTP1_HEADERS_WITHIN: Duration = Duration::from_secs(60);
/// Largest header list accepted.
pub const HTTP2_HEADER_BYTES_MAX: u32 = 16 * 1024;

const _: () = assert!(HTTP2_STREAM_WINDOW as usize >= 1_572_864 + REQUEST_OVERHEAD_BYTES);
const _: () = assert!(HTTP2_CONNECTION_WINDOW >= HTTP2_STREAM_WINDOW);
