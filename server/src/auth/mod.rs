//! Who asks, and whether they may.
//!
//! The way of a call: [`Caller`] is what came with it (a token, a certificate's name, nothing), put
//! into the request's extensions by the dispatch; [`Member::authorize`] finds the user behind it
//! and holds the call against what the user was granted; commands carry the user and the auth
//! revision in their header, and are held against the state once more when they are applied.
//!
//! Invariants: default deny. Whoever proposes or reads hands over a caller, so there is no way to
//! the data that does not ask. Passwords and tokens are in no log line.
//! Must not know: what the state grants to whom; that is `store::auth`.
//!
//! [`Member::authorize`]: crate::member::Member::authorize

mod authenticate;
mod authorize;
mod caller;
mod passwords;
mod tokens;

use std::sync::Arc;

pub(crate) use caller::Caller;
pub(crate) use tokens::SimpleTokens;
pub use tokens::{AuthTokenError, AuthTokenOptions};

use crate::config::ServerConfig;
use passwords::Passwords;
use tokens::TokenKind;

/// What a member needs to find users behind calls.
pub(crate) struct Auth {
    kind: TokenKind,
    passwords: Passwords,
}

impl Auth {
    /// As the flags say. *Errors*: keys that cannot be used, in etcd's words.
    pub(crate) fn open(config: &ServerConfig) -> Result<Self, AuthTokenError> {
        let kind = TokenKind::open(&config.auth_token)?;
        Ok(Auth { kind, passwords: Passwords::new(config.bcrypt_cost) })
    }
}

/// Who a caller turned out to be, in the words of a command's header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Empty: nobody, or authentication is off.
    pub(crate) username: Arc<str>,
    /// The auth revision at which the user was known; 0 for nobody.
    pub(crate) auth_revision: u64,
}
