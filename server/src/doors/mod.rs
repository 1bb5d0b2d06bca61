//! The listeners of clients: what is accepted, how a stream ends, how serving stops.
//!
//! Invariants: gRPC and HTTP/1.1 share a port; every connection and stream has its bounds from
//! `limits`; when the member stops, streams end with a status that sends clients elsewhere.

mod accept;
mod connection;
mod dispatch;
mod frames;
mod grpc_go;
mod health_list;
mod http1;
mod in_process;
mod listen;
mod pages;
mod pings;
mod serve;
mod services;
mod stream_end;

pub use accept::incoming_peers;
pub(crate) use connection::Traffic;
pub use connection::{Connection, ConnectionInfo, PeerCertificate};
pub(crate) use dispatch::{GrpcDoor, MeteredBody};
pub use in_process::{ClientService, client_service};
pub use listen::{Listener, Reserved, reserve, reserve_all};
pub use serve::{serve_client_http, serve_clients, serve_metrics};
pub(crate) use stream_end::StreamEnd;
