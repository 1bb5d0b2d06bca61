//! The differential runner: the same conversations held with the real kube-apiserver on the real
//! etcd and with ours.
//!
//! Invariants: everything is drawn from the seed before it is asked; what is not compared stands in
//! [`mask::MASKS`], what differs and stands in [`accepted::ACCEPTED`], each with its reason.
//!
//! Must not know: how the servers are started.

pub mod accepted;
pub mod bad_input;
pub mod compare;
pub mod conversation;
pub mod kinds;
pub mod lifecycle;
pub mod mask;
pub mod memory;
pub mod random;
pub mod report;
pub mod steps;
pub mod topics;

use anyhow::Result;

/// Every scenario of a run, in order.
///
/// *Errors*: a file of this crate does not parse.
pub fn scenarios(seed: u64, random_requests: usize) -> Result<Vec<steps::Scenario>> {
    let kinds = kinds::all()?;
    let mut all = topics::all()?;
    all.extend(kinds.iter().map(lifecycle::of));
    all.extend(random::all(seed, random_requests, &kinds));
    Ok(all)
}
