//! The door: the etcd gRPC services, health, metrics, clocks and configuration.
//!
//! A request passes one way: decode and check shape (`rpc`), propose or read (`member`), map the
//! error (`errors`), fill the header (`header`). The leader's clock for leases lives in `lease`.
//! Must not know: how the log or the state are stored, arguments and environment, signals.

pub mod config;
pub mod limits;
