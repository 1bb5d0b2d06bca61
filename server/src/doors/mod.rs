//! The listeners of clients: what is accepted, how a stream ends, how serving stops.
//!
//! Invariants: gRPC and HTTP/1.1 share a port; every connection and stream has its bounds from
//! `limits`; when the member stops, streams end with a status that sends clients elsewhere.

mod connection;
mod dispatch;
mod http1;
mod in_process;
mod serve;
mod services;
mod stream_end;

pub(crate) use connection::Traffic;
pub use connection::{Reserved, reserve};
pub(crate) use dispatch::{GrpcDoor, MeteredBody};
pub use in_process::{ClientService, client_service};
pub use serve::{serve_clients, serve_metrics};
pub(crate) use stream_end::StreamEnd;
