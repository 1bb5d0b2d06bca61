//! `--auth-token`: which tokens, and what JWTs are signed with. Pure: the files are read later.
//!
//! Compat: etcd's words for what it refuses.

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use jsonwebtoken::Algorithm;

use crate::config::go_duration;

/// *Source*: etcd.
const JWT_TTL_DEFAULT: Duration = Duration::from_secs(300);

/// Why `--auth-token` is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthTokenError {
    /// The text is no list of options, or names what does not exist.
    #[error("auth: invalid auth options")]
    Options,
    /// A signing method that Go's library knows and we do not.
    #[error("unsupported signing method: {0}")]
    Method(String),
    /// The method needs a key and none was named.
    #[error("auth: missing key data")]
    MissingKey,
    /// The two keys belong to different pairs.
    #[error("auth: public and private keys don't match")]
    KeyMismatch,
    /// A key's file holds something else.
    #[error("{0}")]
    Key(&'static str),
}

/// What `--auth-token` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthTokenOptions {
    /// `simple`
    Simple,
    /// `jwt,…`
    Jwt(JwtOptions),
    /// Nothing.
    None,
}

/// The options behind `jwt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtOptions {
    /// What tokens are signed with; no other method is accepted from a client.
    pub(crate) method: Algorithm,
    /// The file of the public key.
    pub(crate) public_key: Option<PathBuf>,
    /// The file of the private key; the secret itself for `HS…`.
    pub(crate) private_key: Option<PathBuf>,
    /// How long a token lives.
    pub(crate) ttl: Duration,
}

impl AuthTokenOptions {
    /// Reads the flag's value; unknown JWT options become warnings.
    ///
    /// *Errors*: etcd's words.
    pub fn read(text: &str, warnings: &mut Vec<String>) -> Result<Self, AuthTokenError> {
        let mut parts = text.split(',');
        let kind = parts.next().unwrap_or_default();
        let mut options: Vec<(&str, &str)> = Vec::new();
        for part in parts {
            let (name, value) = part.split_once('=').ok_or(AuthTokenError::Options)?;
            if value.contains('=') || options.iter().any(|(known, _)| *known == name) {
                return Err(AuthTokenError::Options);
            }
            options.push((name, value));
        }
        match kind {
            "simple" => Ok(AuthTokenOptions::Simple),
            "jwt" => JwtOptions::read(&options, warnings).map(AuthTokenOptions::Jwt),
            "" => Ok(AuthTokenOptions::None),
            _ => Err(AuthTokenError::Options),
        }
    }
}

impl JwtOptions {
    fn read(options: &[(&str, &str)], warnings: &mut Vec<String>) -> Result<Self, AuthTokenError> {
        let mut method = None;
        let (mut public_key, mut private_key) = (None, None);
        let mut ttl = JWT_TTL_DEFAULT;
        for (name, value) in options {
            match *name {
                "sign-method" => method = Some(*value),
                "pub-key" => public_key = some_path(value),
                "priv-key" => private_key = some_path(value),
                "ttl" if value.is_empty() => {}
                "ttl" => ttl = go_duration(value).ok_or(AuthTokenError::Options)?,
                unknown => warnings.push(format!("unknown JWT option {unknown:?}")),
            }
        }
        let method = method.ok_or(AuthTokenError::Options)?;
        let method = match method {
            // Known to Go's library; the first is no signature, the second has no curve here.
            "none" => return Err(AuthTokenError::Method("*jwt.signingMethodNone".to_owned())),
            "ES512" => return Err(AuthTokenError::Method("ES512".to_owned())),
            name => Algorithm::from_str(name).map_err(|_| AuthTokenError::Options)?,
        };
        Ok(JwtOptions { method, public_key, private_key, ttl })
    }
}

fn some_path(value: &str) -> Option<PathBuf> {
    Some(value).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AuthTokenOptions, String> {
        AuthTokenOptions::read(text, &mut Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn etcds_examples_are_read() {
        assert_eq!(read("simple"), Ok(AuthTokenOptions::Simple));
        assert_eq!(read("simple,foo=bar"), Ok(AuthTokenOptions::Simple));
        assert_eq!(read(""), Ok(AuthTokenOptions::None));
        let jwt = "jwt,pub-key=app.rsa.pub,priv-key=app.rsa,sign-method=RS512,ttl=10m";
        assert_eq!(
            read(jwt),
            Ok(AuthTokenOptions::Jwt(JwtOptions {
                method: Algorithm::RS512,
                public_key: Some("app.rsa.pub".into()),
                private_key: Some("app.rsa".into()),
                ttl: Duration::from_secs(600),
            }))
        );
        let mut warnings = Vec::new();
        let unknown = "jwt,sign-method=HS256,priv-key=k,bogus=1";
        AuthTokenOptions::read(unknown, &mut warnings).expect("etcd only warns");
        assert_eq!(warnings, ["unknown JWT option \"bogus\""]);
    }

    #[test]
    fn what_etcd_refuses_is_refused_in_its_words() {
        for text in [
            "foo",
            "jwt",
            "jwt,sign-method=XX",
            "jwt,sign-method",
            "jwt,sign-method=HS256,sign-method=HS256,priv-key=k",
            "jwt,sign-method=HS256,priv-key=k,ttl=abc",
            "simple,foo",
            "simple,a=b=c",
        ] {
            assert_eq!(read(text), Err("auth: invalid auth options".to_owned()), "{text}");
        }
        let none = "unsupported signing method: *jwt.signingMethodNone";
        assert_eq!(read("jwt,sign-method=none"), Err(none.to_owned()));
    }
}
