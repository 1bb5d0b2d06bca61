//! JWTs: the user, the auth revision and the end of the token, signed.
//!
//! Invariants: only the configured method is accepted, so a token cannot choose how it is checked;
//! a token without a user or a revision is none.
//! Compat: etcd's claims. A JWT cannot be taken back: it ends by its time, or by the first change
//! of users, which makes its revision old.

use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{Header, Validation, decode, encode};
use proto::status::EtcdError;
use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::{AuthTokenError, Claims, JwtOptions};
use crate::clock::since_1970;
use crate::errors::ServeError;
use crate::tls::read_file;

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
            path.as_deref().map(|path: &Path| read_file(path)).transpose()
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
        let exp = since_1970().saturating_add(self.ttl).as_secs();
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
        // Compat: 0 means "nobody"; below it lies no revision, so it is an old one.
        let auth_revision = if given.revision < 0.0 { 1 } else { given.revision as u64 };
        Ok(Claims { username: given.username.into(), auth_revision })
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;

    use super::*;

    // Made for these tests by OpenSSL; they guard nothing.
    const RSA: &str = include_str!("keys_for_tests/rsa.pem");
    const RSA_PKCS1: &str = include_str!("keys_for_tests/rsa_pkcs1.pem");
    const RSA_PUBLIC: &str = include_str!("keys_for_tests/rsa.pub.pem");
    const OTHER_PUBLIC: &str = include_str!("keys_for_tests/other.pub.pem");
    const EC: &str = include_str!("keys_for_tests/ec_sec1.pem");
    const EC_PUBLIC: &str = include_str!("keys_for_tests/ec.pub.pem");
    const EC_384: &str = include_str!("keys_for_tests/ec384_sec1.pem");
    const ED: &str = include_str!("keys_for_tests/ed.pem");
    const ED_PUBLIC: &str = include_str!("keys_for_tests/ed.pub.pem");

    fn open(
        method: Algorithm,
        public: Option<&str>,
        private: Option<&str>,
    ) -> Result<JwtTokens, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, content: Option<&str>| {
            content.map(|content| {
                let path = folder.path().join(name);
                std::fs::write(&path, content).expect("written");
                path
            })
        };
        let options = JwtOptions {
            method,
            public_key: write("public", public),
            private_key: write("private", private),
            ttl: Duration::from_secs(60),
        };
        JwtTokens::open(&options).map_err(|error| error.to_string())
    }

    #[test]
    fn every_method_signs_and_verifies_and_no_other_is_accepted() {
        use Algorithm::*;
        let rows = [
            (HS256, "secret", None),
            (HS384, "secret", None),
            (HS512, "secret", None),
            (RS256, RSA, Some(RSA_PUBLIC)),
            (RS384, RSA_PKCS1, Some(RSA_PUBLIC)),
            (RS512, RSA, None),
            (PS256, RSA, Some(RSA_PUBLIC)),
            (PS384, RSA, None),
            (PS512, RSA_PKCS1, None),
            (ES256, EC, Some(EC_PUBLIC)),
            (ES384, EC_384, None),
            (EdDSA, ED, Some(ED_PUBLIC)),
        ];
        let signers = rows.map(|(method, private, public)| {
            let tokens = open(method, public, Some(private));
            tokens.unwrap_or_else(|error| panic!("{method:?}: {error}"))
        });
        for (at, signer) in signers.iter().enumerate() {
            let token = signer.sign("ann", 7).expect("signed");
            let expected = Claims { username: "ann".into(), auth_revision: 7 };
            assert_eq!(signer.read(&token), Ok(expected), "{:?}", rows[at].0);
            for (other, verifier) in signers.iter().enumerate().filter(|(other, _)| *other != at) {
                let refused = verifier.read(&token);
                let (by, of) = (rows[other].0, rows[at].0);
                assert_eq!(refused, Err(EtcdError::InvalidAuthToken), "{by:?} took {of:?}");
            }
        }
    }

    #[test]
    fn a_public_key_alone_verifies_and_does_not_sign() {
        let signer = open(Algorithm::RS256, None, Some(RSA)).expect("a key");
        let verifier = open(Algorithm::RS256, Some(RSA_PUBLIC), None).expect("a key");
        let token = signer.sign("ann", 7).expect("signed");
        assert!(verifier.read(&token).is_ok());
        assert_eq!(verifier.sign("ann", 7).map_err(|e| e.to_string()), Err(VERIFY_ONLY.to_owned()));
    }

    #[test]
    fn wrong_keys_are_refused_in_etcds_words() {
        let error = |method, public, private| open(method, public, private).err();
        let rs = Algorithm::RS256;
        let missing = Some("auth: missing key data".to_owned());
        assert_eq!(error(rs, None, None), missing);
        assert_eq!(error(Algorithm::HS256, Some("x"), None), missing);
        let mismatch = Some("auth: public and private keys don't match".to_owned());
        assert_eq!(error(rs, Some(OTHER_PUBLIC), Some(RSA)), mismatch);
        let no_rsa = "invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key";
        assert_eq!(error(rs, None, Some("no key")), Some(no_rsa.to_owned()));
        let no_ec = "key is not a valid ECDSA private key";
        assert_eq!(error(Algorithm::ES256, None, Some(RSA)), Some(no_ec.to_owned()));
        let options = JwtOptions {
            method: rs,
            public_key: None,
            private_key: Some("/nowhere/at/all".into()),
            ttl: Duration::from_secs(60),
        };
        let missing = JwtTokens::open(&options).err();
        assert_eq!(missing, Some(AuthTokenError::Options));
    }

    #[test]
    fn ended_forged_and_unsigned_tokens_are_none() {
        let tokens = open(Algorithm::HS256, None, Some("secret")).expect("a key");
        let make = |claims: serde_json::Value, header: Header, secret: &str| {
            let key = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
            encode(&header, &claims, &key).expect("encodes")
        };
        let plain = || Header::new(Algorithm::HS256);
        let good = serde_json::json!({"username": "ann", "revision": 7, "exp": 9_999_999_999_u64});
        assert!(tokens.read(&make(good.clone(), plain(), "secret")).is_ok());
        let ended = serde_json::json!({"username": "ann", "revision": 7, "exp": 1});
        let nobody = serde_json::json!({"revision": 7, "exp": 9_999_999_999_u64});
        let no_revision = serde_json::json!({"username": "ann", "exp": 9_999_999_999_u64});
        let unsigned = "eyJhbGciOiJub25lIn0.eyJ1c2VybmFtZSI6InJvb3QiLCJyZXZpc2lvbiI6N30.";
        for wrong in [
            make(ended, plain(), "secret"),
            make(nobody, plain(), "secret"),
            make(no_revision, plain(), "secret"),
            make(good.clone(), plain(), "guess"),
            make(good, Header::new(Algorithm::HS512), "secret"),
            unsigned.to_owned(),
            String::new(),
            "a.b.c".to_owned(),
        ] {
            assert_eq!(tokens.read(&wrong), Err(EtcdError::InvalidAuthToken), "{wrong}");
        }
    }
}
