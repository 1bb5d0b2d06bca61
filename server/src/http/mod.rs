//! The HTTP pages: health, version, metrics.
//!
//! Compat: paths, bodies and codes are etcd's. Must not know: gRPC.

mod health;
mod pages;

pub(crate) use health::Check;
pub(crate) use pages::{client_pages, metrics_pages};
