//! Checkers of what clients saw: a general one that trusts no revision, and two that do.
//!
//! Invariants: a checker never repairs a history; what it cannot decide within its budget is a
//! failure of its own, not a pass. Each has histories it must refuse among its tests.
//!
//! Must not know: servers, faults, sockets.

pub mod history;
pub mod linear;
pub mod revision;
pub mod watch;
