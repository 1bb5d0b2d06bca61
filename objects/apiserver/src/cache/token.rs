//! Continue tokens: where a list goes on.
//!
//! *Source*: `metadata.continue` of Kubernetes: base64url of
//! `{"v":"meta.k8s.io/v1","rv":N,"start":"name\u0000"}`, where `start` is relative to what is
//! listed and a revision of −1 stands for the newest.
//!
//! Invariant: a token, also a forged one, never leads outside what is listed.
//!
//! Must not know: what is listed.

use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD};
use base64::{Engine as _, alphabet};
use serde::{Deserialize, Serialize};

use super::CacheError;
use crate::status::quoted;
use crate::storage::Revision;

const VERSION: &str = "meta.k8s.io/v1";

/// Where a list goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// At which revision; none for the newest.
    pub(super) revision: Option<Revision>,
    /// At which key, relative to what is listed; inclusive.
    pub(super) start: String,
}

#[derive(Serialize)]
struct Written<'a> {
    v: &'a str,
    rv: i64,
    start: &'a str,
}

#[derive(Deserialize)]
struct Read {
    #[serde(default)]
    v: String,
    #[serde(default)]
    rv: i64,
    #[serde(default)]
    start: String,
}

impl Token {
    /// The token of what stands behind a key.
    pub(super) fn behind(key: &str, revision: Revision) -> Self {
        Token { revision: Some(revision), start: format!("{key}\0") }
    }

    pub(super) fn encode(&self) -> String {
        let rv = self.revision.map_or(-1, Revision::signed);
        let token = Written { v: VERSION, rv, start: &self.start };
        URL_SAFE_NO_PAD.encode(serde_json::to_string(&token).expect("strings and a number"))
    }

    /// Reads a token.
    ///
    /// *Errors*: 400 in the real server's words.
    pub(super) fn decode(text: &str) -> Result<Self, CacheError> {
        Self::read(text).map_err(|why| {
            let what = "invalid continue token: continue key is not valid";
            CacheError::BadRequest(format!("{what}: {why}"))
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        let json = AS_GO.decode(text).map_err(|_| no_base64(text))?;
        let token: Read = serde_json::from_slice(&json).map_err(|error| parsing(&json, &error))?;
        if token.v != VERSION {
            return Err(format!("server does not recognize this encoded version {}", token.v));
        }
        if token.rv == 0 {
            let why = "incorrect encoded start resourceVersion";
            return Err(format!("{why} (version {VERSION})"));
        }
        if token.start.is_empty() {
            return Err(format!("encoded start key empty (version {VERSION})"));
        }
        let start = token.start.strip_prefix('/').unwrap_or(&token.start).to_owned();
        // Compat: what Go's path.Clean would change is refused, or the key could lead elsewhere.
        if start.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(token.start);
        }
        let revision = (token.rv > 0).then(|| Revision::of(token.rv));
        Ok(Token { revision, start })
    }
}

/// Compat: what is left over of the last byte may be anything.
const AS_GO: GeneralPurpose =
    GeneralPurpose::new(&alphabet::URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// Compat: Go's words for text that is no base64: where the first byte stands that cannot be, or
/// the one that lacks the others of its group.
fn no_base64(text: &str) -> String {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let wrong = text.bytes().position(|byte| !fits(byte));
    let at = wrong.unwrap_or(text.len().saturating_sub(1));
    format!("illegal base64 data at input byte {at}")
}

/// Compat: Go's words for what is no JSON, as far as a forger is likely to see them.
fn parsing(json: &[u8], error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "unexpected end of JSON input".to_owned();
    }
    match json.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(byte) if *byte != b'{' => {
            let quoted = quoted(char::from(*byte).encode_utf8(&mut [0; 4]));
            let shown = quoted.trim_matches('"');
            format!("invalid character '{shown}' looking for beginning of value")
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(json: &str) -> String {
        Token::decode(&URL_SAFE_NO_PAD.encode(json)).expect_err("refused").to_string()
    }

    #[test]
    fn a_token_is_kubernetes_own_and_reads_back() {
        let token = Token::behind("default/web", Revision(7));
        let text = token.encode();
        let json = URL_SAFE_NO_PAD.decode(&text).expect("base64");
        let wanted = r#"{"v":"meta.k8s.io/v1","rv":7,"start":"default/web\u0000"}"#;
        assert_eq!(String::from_utf8(json).expect("text"), wanted);
        assert_eq!(Token::decode(&text), Ok(token));
        let newest = Token { revision: None, start: "a".to_owned() };
        assert_eq!(Token::decode(&newest.encode()), Ok(newest));
    }

    #[test]
    fn forged_tokens_are_refused_and_lead_nowhere_else() {
        let head = "invalid continue token: continue key is not valid";
        let rows = [
            (
                r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#,
                ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#,
                ": encoded start key empty (version meta.k8s.io/v1)",
            ),
            (
                r#"{"v":"v2","rv":1,"start":"a"}"#,
                ": server does not recognize this encoded version v2",
            ),
            (r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../secrets/x"}"#, ": ../secrets/x"),
            (r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a//b"}"#, ": a//b"),
            (r#"{"v":"meta.k8s.io/v1","rv":1,"start":"a/"}"#, ": a/"),
            (r#"{"v":"meta.k8s.io/v1","rv":1"#, ": unexpected end of JSON input"),
            ("hello", ": invalid character 'h' looking for beginning of value"),
        ];
        for (json, tail) in rows {
            assert_eq!(refusal(json), format!("{head}{tail}"), "{json}");
        }
        let refusal = Token::decode("nonsense").expect_err("refused").to_string();
        assert_eq!(
            refusal,
            format!("{head}: invalid character '\\u009e' looking for beginning of value")
        );
        let rows = [
            ("a*b", "illegal base64 data at input byte 1"),
            ("x", "illegal base64 data at input byte 0"),
            ("e30=", "illegal base64 data at input byte 3"),
            ("forged", "invalid character '~' looking for beginning of value"),
        ];
        for (text, why) in rows {
            let refusal = Token::decode(text).expect_err("refused").to_string();
            assert_eq!(refusal, format!("{head}: {why}"), "{text}");
        }
    }
}
