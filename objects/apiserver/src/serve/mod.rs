//! An API server from its configuration to its end.
//!
//! `pki` keeps the certificates, `tokens` and `authn` find out who asks, `kubeconfig` tells users
//! the way. Must not know: flags, environment, how the store works.

mod authn;
pub mod kubeconfig;
pub mod pki;
pub(crate) mod private_file;
pub mod tokens;
pub mod user;
