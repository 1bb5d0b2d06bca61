//! Turns the ordered stream of applied events into ordered, gap-free streams for any number of
//! watchers, fast or slow.
//!
//! ```text
//!  apply task ── Hub::publish ──► groups (interval index) ──► one bounded queue per stream
//!                                                                   │
//!  client task ◄── WatchOutput::next ◄── queue, or History when the stream is behind
//! ```
//!
//! Invariants
//! - Per watcher: revisions strictly rise, none is skipped, none is below its start, and the
//!   events of a revision arrive together (in one answer, or in fragments of one).
//! - Published ≤ applied: [`Hub::publish`] asserts that [`History`] already shows the revision.
//! - Publishing waits for no client: it encodes, pushes onto bounded queues and wakes. A full queue
//!   is emptied and its watchers read [`History`] from where they were, in their client's own task.
//! - A watcher is exactly one of: *live* (its group pushes to its stream's queue), *behind* (reads
//!   history; nothing of it is queued), *future* (its start is not reached; nothing is queued).
//! - Progress is said in the same queue as events, and only while all it speaks for are live.
//!
//! Locks: the hub's before a stream's, never two streams' at once, none across an await, and no
//! history read under either.
//!
//! It must not know clocks (the caller ticks), runtimes, gRPC, Raft, or who a client is.

mod batch;
mod catch_up;
mod control;
mod counters;
mod fragment;
mod groups;
mod history;
mod hub;
mod index;
mod interest;
mod interval;
mod limits;
mod output;
mod queue;
mod response;
mod stream;
mod watcher;

pub use control::WatchControl;
pub use counters::Counters;
pub use history::History;
pub use hub::Hub;
pub use limits::Limits;
pub use output::WatchOutput;
pub use watcher::Recheck;
