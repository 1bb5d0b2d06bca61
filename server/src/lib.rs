//! The door: the etcd gRPC services, health, metrics, clocks and configuration.
//!
//! A request passes one way: `doors` accepts it, `rpc` checks its shape, `member` proposes or
//! reads, `errors` maps what went wrong, `header` says who answered. The leader's clock for leases
//! lives in `lease`.
//! Must not know: how the log or the state are stored, arguments and environment, signals.

pub mod clock;
pub mod config;
pub mod limits;
pub mod tls;
pub mod version;

mod auth;
mod compatibility;
mod coordination;
mod discovery;
mod doors;
mod errors;
mod header;
mod http;
mod lease;
mod member;
mod members;
mod metrics;
mod peer_meter;
mod publish;
mod quota;
mod random;
mod rpc;
mod snapshot;
mod spans;
mod tasks;
mod tuning;

pub use auth::{AuthTokenError, AuthTokenOptions};
pub use compatibility::etcd_page;
pub use discovery::{DiscoveryError, discover};
pub use doors::{
    ClientService, Connection, ConnectionInfo, Listener, PeerCertificate, Reserved, client_service,
    incoming_peers, reserve, reserve_all, serve_client_http, serve_clients, serve_metrics,
};
pub use errors::ServeError;
pub use http::{GATEWAY_PATHS, fuzz_gateway};
pub use member::{Ids, Member, MemberParts, Onlooker};
pub use tuning::Tuning;
