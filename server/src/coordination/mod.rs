//! What locks and elections are made of: keys that are held by leases and wait for one another in
//! the order in which they were made.
//!
//! Invariants: everything goes through the KV and Lease services as the caller itself would ask
//! them, so that shape, permissions and limits are checked there and nowhere else; a caller that
//! goes away while it waits leaves no key of its own behind.
//! Must not know: which of the two services asks.

mod own_client;
mod place;

pub(crate) use own_client::{OwnClient, OwnWatch};
pub(crate) use place::{Place, prefix_of};
