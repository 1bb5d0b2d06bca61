//! The names of the gRPC metadata that etcd clients and servers exchange.
//!
//! Invariant: lower case, as HTTP/2 wants them.
//!
//! Must not know: any gRPC library.

/// Asks the server to refuse the call, or to end the stream, while it knows no leader.
pub const REQUIRE_LEADER: &str = "hasleader";
/// The value of [`REQUIRE_LEADER`] that switches it on.
pub const REQUIRE_LEADER_ON: &str = "true";
/// The API version that the client speaks, such as `3.7`.
pub const CLIENT_API_VERSION: &str = "client-api-version";
/// The authentication token, as gRPC clients send it.
pub const TOKEN: &str = "token";
/// The authentication token, as HTTP gateways and some clients send it, with or without `Bearer `.
pub const AUTHORIZATION: &str = "authorization";
