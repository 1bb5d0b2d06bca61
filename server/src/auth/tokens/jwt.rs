//! JWTs: the user, the auth revision and the end of the token, signed.
//!
//! Invariants: only the configured method is accepted, so a token cannot choose how it is checked;
//! a token without a user or a revision is none.
//! Compat: etcd's claims. A JWT cannot be taken back: it ends by its time, or by the first change
//! of users, which makes its revision old.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Header, Validation, decode, encode};
use proto::status::EtcdError;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::{AuthTokenError, Claims, JwtOptions};
use crate::errors::ServeError;

/// Compat: etcd cannot sign when it was given a public key alone.
const VERIFY_ONLY: &str = "auth: token signing attempted with verify-only key";

#[derive(Serialize)]
struct Signed<'a> {
    exp: u64,
    revision: u64,
    username: &'a str,
}

#[derive(Deserialize)]
struct Given {
    /// Compat: Go reads every JSON number as a float.
    revision: f64,
    username: String,
}

/// Makes and checks JWTs.
pub(crate) struct JwtTokens {
    header: Header,
    validation: Validation,
    keys: Keys,
    ttl: Duration,
}

impl JwtTokens {
    /// Reads the keys.
    ///
    /// *Errors*: etcd's texts.
    pub(crate) fn open(options: &JwtOptions) -> Result<Self, AuthTokenError> {
        let read = |path: &Option<std::path::PathBuf>| {
            path.as_deref().map(|path: &Path| fs::read(path)).transpose()
        };
        let public = read(&options.public_key).map_err(|_| AuthTokenError::Options)?;
        let private = read(&options.private_key).map_err(|_| AuthTokenError::Options)?;
        let keys = Keys::read(options.method, public.as_deref(), private.as_deref())?;
        let mut validation = Validation::new(options.method);
        validation.leeway = 0;
        // Compat: what is not there is not looked at, also the end of the token.
        validation.required_spec_claims.clear();
        validation.validate_nbf = true;
        validation.validate_aud = false;
        Ok(JwtTokens { header: Header::new(options.method), validation, keys, ttl: options.ttl })
    }

    /// A token for a user at an auth revision.
    pub(crate) fn sign(&self, username: &str, revision: u64) -> Result<String, ServeError> {
        let key = self.keys.signing.as_ref().ok_or(ServeError::Unknown(VERIFY_ONLY))?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let exp = now.saturating_add(self.ttl).as_secs();
        let claims = Signed { exp, revision, username };
        encode(&self.header, &claims, key)
            .map_err(|_| ServeError::Unknown("the token is not signed"))
    }

    /// What a token says, if it is one of ours and has not ended.
    pub(crate) fn read(&self, token: &str) -> Result<Claims, EtcdError> {
        let given = decode::<Given>(token, &self.keys.verifying, &self.validation)
            .map_err(|_| EtcdError::InvalidAuthToken)?
            .claims;
        // Rounds as Go's conversion does, towards zero.
        Ok(Claims { username: given.username.into(), auth_revision: given.revision as u64 })
    }
}
