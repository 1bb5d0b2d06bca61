//! Tokens: how a client says again who it is, after it gave its password once.
//!
//! Invariant: no token is written into a log line.
//! Must not know: passwords, and what users may do.

mod jwt;
mod keys;
mod options;
mod simple;

use std::sync::Arc;

pub(crate) use jwt::JwtTokens;
pub(crate) use options::JwtOptions;
pub use options::{AuthTokenError, AuthTokenOptions};
pub(crate) use simple::SimpleTokens;

/// What `--auth-token` chose.
pub(crate) enum TokenKind {
    /// Random words that all members remember.
    Simple,
    /// Signed statements that no member remembers.
    Jwt(Box<JwtTokens>),
    /// Compat: an empty `--auth-token`: passwords are of no use, certificates are.
    None,
}

impl TokenKind {
    /// Reads the keys that the options name.
    ///
    /// *Errors*: etcd's texts, which name no file's content.
    pub(crate) fn open(options: &AuthTokenOptions) -> Result<Self, AuthTokenError> {
        Ok(match options {
            AuthTokenOptions::Simple => TokenKind::Simple,
            AuthTokenOptions::Jwt(options) => TokenKind::Jwt(Box::new(JwtTokens::open(options)?)),
            AuthTokenOptions::None => TokenKind::None,
        })
    }
}

/// What a token said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) username: Arc<str>,
    /// The auth revision at which the token was given.
    pub(crate) auth_revision: u64,
}
