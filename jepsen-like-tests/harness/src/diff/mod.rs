//! The differential runner: one seeded conversation held with the real etcd and with Engram, over
//! every RPC, with one member or several, with authentication or without, as gRPC or as JSON.
//!
//! Every answer is compared when it arrives, with its error code and text; the watch streams are
//! compared at each quiet point, and HashKV at quiet points and at the end. What is masked, and
//! why, is listed in [`mask::MASKS`] and in `docs/compatibility/differences.md`.
//!
//! Invariants: both servers get the same requests in the same order; a request that one of them
//! never answers ends the run as a difference.
//!
//! Must not know: what the right answer is; that is what the real etcd is for.

pub(crate) mod call;
pub mod cells;
mod conversation;
pub mod generate;
pub mod mask;
pub(crate) mod masked;
mod names;
mod peer;
mod people;
mod queue;
mod raw;
mod send;
pub mod step;
mod streams;
pub mod talk;
pub mod who;

pub use conversation::{Difference, Outcome, run};
pub(crate) use peer::{Answer, Peer};
pub use talk::Plan;

/// The seed of a run without arguments.
pub const STANDARD_SEED: u64 = 1;

/// Requests of each conversation of a run without arguments.
pub const STANDARD_REQUESTS: u64 = 700;
