//! The Kubernetes side of the harness: the same conversations, command lines and walks held with
//! the real programs and with ours.
//!
//! Invariants: it knows the servers by their sockets, their flags and their process ids alone;
//! what is random is drawn from a seed that it prints, with the command that repeats it.
//!
//! Must not know: any room of the project; it would then test what it shares.

pub mod bench;
pub mod client;
pub(crate) mod cluster;
pub mod control_plane;
pub mod diff;
pub mod kubectl;
pub mod process;
pub mod record;
pub mod served;
pub mod sides;
pub mod swap;
pub mod walk;
pub mod workload;

pub(crate) use programs::pause;
