//! The differential runner: one seeded conversation held with the real etcd and with Engram.
//!
//! Every answer is compared when it arrives, with its error code and text; the watch streams are
//! compared at each quiet point, and HashKV at quiet points and at the end. What is masked, and
//! why, is listed in [`mask::MASKS`] and in `docs/compatibility/differences.md`.
//!
//! Invariants: both servers get the same requests in the same order; a request that one of them
//! never answers ends the run as a difference.
//!
//! Must not know: what the right answer is; that is what the real etcd is for.

mod conversation;
pub mod generate;
pub mod mask;
mod streams;

pub(crate) use conversation::{Answer, Peer};
pub use conversation::{Difference, Outcome, run};
