//! etcd's gRPC services over a [`crate::member::Member`]. One file per service.
//!
//! Invariant: a handler checks, asks the member and fills the header; it keeps no state.
//! Must not know: how the member reaches agreement or where state is stored.

mod auth;
mod cluster;
mod downgrade;
mod election;
mod health;
mod kv;
mod lease;
mod lock;
mod maintenance;
pub(crate) mod methods;
mod range_stream;
mod waiting;
mod watch;
pub(crate) mod watch_guard;

pub(crate) use auth::AuthDoor;
pub(crate) use cluster::ClusterDoor;
pub(crate) use election::ElectionDoor;
pub(crate) use health::HealthDoor;
pub(crate) use kv::KvDoor;
pub(crate) use lease::LeaseDoor;
pub(crate) use lock::LockDoor;
pub(crate) use maintenance::MaintenanceDoor;
pub(crate) use watch::WatchDoor;
