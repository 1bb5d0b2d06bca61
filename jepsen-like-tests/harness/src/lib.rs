//! Breaks clusters of real binaries from outside and checks what their clients saw.
//!
//! Invariants: it knows the servers by their sockets, their flags and their process ids alone;
//! every run is drawn from a seed that it prints, with the command that repeats it; a fault that
//! could not be installed fails the run instead of passing it.
//!
//! Must not know: any room of the store; it would then test what it shares.

pub mod auth;
pub mod bad_input;
pub mod clients;
pub mod ctl;
pub mod diff;
pub mod digest;
pub mod drills;
pub mod etcdctl;
pub mod gateway;
pub mod metrics;
pub mod opponents;
pub mod process;
pub mod rounds;
pub mod silent;
pub mod snapshots;

pub(crate) use programs::pause;
