//! The Kubernetes REST API, served over the etcd service: from any endpoint, or from the store in
//! the same process.
//!
//! A request passes one way: `rest` reads it, `registry` does it by the resource row with the hooks
//! of its kind, `cache` answers reads, `storage` keeps it. Must not know: how the store works.

pub mod cache;
pub mod kinds;
pub mod registry;
pub mod rest;
pub mod selector;
pub mod serve;
pub mod status;
pub mod storage;
pub mod tables;
