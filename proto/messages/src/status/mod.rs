//! etcd's error table: one row per error, with the gRPC code and the exact text.
//!
//! Invariants: texts are unique and are etcd's, letter by letter, because clients find an error by
//! its text and not by its code. A row never changes: a text may be part of the replicated state.
//!
//! Compat: a real etcd answers `NotEnoughStartedMembers` and `TooManyRequests` with the code
//! Unknown on the wire, since it maps them to its client-side form; the table has the published
//! codes, and clients, which look at the text, see no difference.
//!
//! Must not know: where an error arises, or any gRPC library.

mod code;
mod table;

pub use code::Code;
pub use table::EtcdError;

/// Why a watch whose start lies below the compacted revision, or is negative, is canceled.
pub const WATCH_COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";
/// Why a watch of an empty range is canceled.
pub const WATCH_RANGE_EMPTY: &str = "mvcc: watcher range is empty";
/// Why a watch with an id that is in use on its stream is canceled.
pub const WATCH_ID_DUPLICATE: &str = "mvcc: duplicate watch ID provided on the WatchStream";
/// The text, with the code Unknown, of a lock request whose session's lease ran out.
pub const LOCK_SESSION_EXPIRED: &str = "mutex: session is expired";
/// The text, with the code Unknown, of an election that has no leader.
pub const ELECTION_NO_LEADER: &str = "election: no leader";
/// The text, with the code Unknown, of a proclamation or resignation by somebody else.
pub const ELECTION_NOT_LEADER: &str = "election: not leader";
/// The text, with the code Unknown, of an election request without its leader.
pub const ELECTION_LEADER_MISSING: &str = "\"leader\" field must be provided";
