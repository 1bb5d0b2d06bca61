//! An API server from its configuration to its end.
//!
//! `pki` keeps the certificates, `tokens` and `authn` find out who asks, `authz` who may what,
//! `bootstrap` makes the objects that everybody assumes, `kubeconfig` tells users the way.
//!
//! Order of the start: certificates → port → registry and caches → listening → system objects →
//! ready. Must not know: flags, environment, how the store works.

pub(crate) mod authn;
pub(crate) mod authz;
mod bootstrap;
pub mod kubeconfig;
pub mod pki;
pub(crate) mod private_file;
mod server;
pub mod tokens;
pub mod user;

pub use server::{Options, ServeError, Server, in_process, serve};
