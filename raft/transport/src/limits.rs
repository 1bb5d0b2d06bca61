//! Every bound of this room in one place.

use std::time::Duration;

/// A connection attempt to one address ends after this time.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// A TLS handshake over it ends after this time.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// A silent connection is asked for a sign of life at this interval.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(1);

/// A connection without an answer to that is given up after this time.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Data that the peer's kernel does not acknowledge for this long breaks the connection.
pub(crate) const TCP_USER_TIMEOUT: Duration = Duration::from_secs(3);

/// Largest message, in bytes: one entry may hold a single large command, plus its envelope.
pub(crate) const MESSAGE_BYTES_MAX: usize = 96 << 20;

/// HTTP/2 window of one stream, in bytes: what a lane can have on its way without waiting.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 8 << 20;

/// HTTP/2 window of a connection, in bytes.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Largest HTTP/2 frame, in bytes: fewer frames for large appends.
pub(crate) const FRAME_BYTES_MAX: u32 = 256 << 10;

const _: () = assert!(STREAM_WINDOW_BYTES <= CONNECTION_WINDOW_BYTES);
