//! The HTTP pages: health, version, metrics, debugging, and the JSON gateway.
//!
//! Compat: paths, bodies and codes are etcd's. Must not know: gRPC, outside of `gateway`.

mod access;
mod debug;
mod gateway;
mod health;
mod pages;
mod tables;

pub(crate) use gateway::Gateway;
pub use gateway::{GATEWAY_PATHS, fuzz_gateway};
pub(crate) use health::Check;
pub(crate) use pages::{client_pages, metrics_pages, not_found, plain_error};
pub(crate) use tables::{counts, tables};
