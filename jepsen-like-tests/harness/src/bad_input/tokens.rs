//! Row 26: tokens that are none, of another cluster, with a prefix, past their end, signed by
//! nobody or by another key, or for nobody; with simple tokens and with JWTs, on both servers.
//!
//! Invariants: a read with such a token is answered with the same code and text by both, and reads
//! nothing; afterwards a sound token still reads.
//!
//! Must not know: how a server checks a token.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use proto::etcdserverpb as pb;
use rustls::SupportedCipherSuite;
use rustls::crypto::tls13::OkmBlock;
use services::etcdserverpb::auth_client::AuthClient;
use services::etcdserverpb::kv_client::KvClient;
use tonic::Request;
use tonic::transport::Channel;

use super::{Outcome, pair};
use crate::gateway::spell::base64;
use crate::process::{Member, Programs, dial};

const SECRET: &str = "a secret that both servers share";
const PASSWORD: &str = "a password";

const EMPTY: &str = "InvalidArgument: etcdserver: user name is empty";
const INVALID: &str = "Unauthenticated: etcdserver: invalid auth token";

/// How a JWT is made wrong.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// Signed, with these claims; `{exp}` stands for a time to come.
    Claims(&'static str),
    /// With this header and an empty signature.
    Unsigned(&'static str),
    /// Signed with another key.
    OtherKey,
    /// As it is.
    Text(&'static str),
    /// A sound one behind these words.
    Behind(&'static str),
}

const JWTS: &[(&str, Wrong, &str)] = &[
    ("a JWT that is an empty text", Wrong::Text(""), INVALID),
    ("a JWT that is no JWT", Wrong::Text("nonsense"), INVALID),
    ("a JWT of three dots", Wrong::Text("..."), INVALID),
    ("a sound JWT behind `Bearer `", Wrong::Behind("Bearer "), "ok"),
    ("a JWT with alg none", Wrong::Unsigned("{\"alg\":\"none\",\"typ\":\"JWT\"}"), INVALID),
    (
        "a JWT without its signature",
        Wrong::Unsigned("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"),
        INVALID,
    ),
    ("a JWT of another algorithm", Wrong::Unsigned("{\"alg\":\"RS256\",\"typ\":\"JWT\"}"), INVALID),
    ("a JWT signed with another key", Wrong::OtherKey, INVALID),
    (
        "a JWT past its end",
        Wrong::Claims("{\"username\":\"root\",\"revision\":5,\"exp\":1000}"),
        INVALID,
    ),
    ("a JWT without a user", Wrong::Claims("{\"revision\":5,\"exp\":{exp}}"), INVALID),
    (
        "a JWT whose user is a number",
        Wrong::Claims("{\"username\":7,\"revision\":5,\"exp\":{exp}}"),
        INVALID,
    ),
    ("a JWT without a revision", Wrong::Claims("{\"username\":\"root\",\"exp\":{exp}}"), INVALID),
    (
        "a JWT with a revision below zero",
        Wrong::Claims("{\"username\":\"root\",\"revision\":-1,\"exp\":{exp}}"),
        "InvalidArgument: etcdserver: revision of auth store is old",
    ),
    (
        "a JWT for nobody",
        Wrong::Claims("{\"username\":\"nobody\",\"revision\":{revision},\"exp\":{exp}}"),
        "PermissionDenied: etcdserver: permission denied",
    ),
    ("a JWT whose claims are a list", Wrong::Claims("[]"), INVALID),
];

const SIMPLE: &[(&str, Wrong, &str)] = &[
    ("an empty token", Wrong::Text(""), INVALID),
    ("a token that is none", Wrong::Text("nonsense"), INVALID),
    ("a token without its index", Wrong::Text("abcdefghijklmnop."), INVALID),
    ("a token with an index that is no number", Wrong::Text("abcdefghijklmnop.x"), INVALID),
    ("a token that nobody gave", Wrong::Text("abcdefghijklmnop.1"), INVALID),
    ("a sound token behind `Bearer `", Wrong::Behind("Bearer "), "ok"),
    ("a sound token behind other words", Wrong::Behind("Basic "), INVALID),
];

/// All of them, on two pairs of members.
pub(super) async fn run(programs: &Programs, folder: &Path, outcome: &mut Outcome) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("jwt.key");
    std::fs::write(&file, SECRET)?;
    let jwt = format!("--auth-token=jwt,sign-method=HS256,priv-key={},ttl=20m", file.display());
    let (jwt_folder, simple_folder) = (folder.join("jwt"), folder.join("simple"));
    let jwt_flags = ["--bcrypt-cost=4", &jwt];
    let pairs = tokio::join!(
        pair(programs, &jwt_folder, &jwt_flags),
        pair(programs, &simple_folder, &["--bcrypt-cost=4"])
    );
    let (jwts, simple) = (pairs.0?, pairs.1?);
    for (members, table) in [(&jwts, JWTS), (&simple, SIMPLE)] {
        let mut guests = Vec::new();
        for (side, member) in ["etcd", "engram"].into_iter().zip(members) {
            guests.push((side, Guest::switch_on(member).await?));
        }
        for (name, wrong, expected) in table {
            for (side, guest) in &mut guests {
                let told = guest.told(*wrong).await;
                let held = told.and_then(|told| {
                    ensure!(told == *expected, "{side}: expected {expected}, got {told}");
                    Ok(())
                });
                outcome.check(26, name, held);
            }
        }
        let foreign = guests[0].1.token.clone();
        let (_, ours) = &mut guests[1];
        if table.len() == SIMPLE.len() {
            let told = ours.read(Some(&foreign)).await;
            let held = (told == INVALID).then_some(()).ok_or(told);
            outcome.check(26, "a token of another cluster", held);
        }
        let nobody = ours.read(None).await;
        outcome.check(26, "no token", (nobody == EMPTY).then_some(()).ok_or(nobody));
        let own = ours.token.clone();
        let sound = ours.read(Some(&own)).await;
        outcome.check(26, "a sound token afterwards", (sound == "ok").then_some(()).ok_or(sound));
    }
    Ok(())
}

/// Somebody with a sound token of root.
struct Guest {
    kv: KvClient<Channel>,
    token: String,
    auth_revision: u64,
}

impl Guest {
    /// Makes root and switches authentication on.
    async fn switch_on(member: &Member) -> Result<Self> {
        let channel = dial(member.client_url()).await?;
        let mut auth = AuthClient::new(channel.clone());
        let (name, password) = ("root".to_owned(), PASSWORD.to_owned());
        let add = pb::AuthUserAddRequest { name, password, ..Default::default() };
        auth.user_add(add).await?;
        let grant = pb::AuthUserGrantRoleRequest { user: "root".into(), role: "root".into() };
        auth.user_grant_role(grant).await?;
        auth.auth_enable(pb::AuthEnableRequest {}).await?;
        let (name, password) = ("root".to_owned(), PASSWORD.to_owned());
        let given = auth.authenticate(pb::AuthenticateRequest { name, password }).await?;
        let token = given.into_inner().token;
        let status = auth.auth_status(pb::AuthStatusRequest {}).await?.into_inner();
        let kv = KvClient::new(channel);
        Ok(Guest { kv, token, auth_revision: status.auth_revision })
    }

    async fn told(&mut self, wrong: Wrong) -> Result<String> {
        let token = match wrong {
            Wrong::Text(text) => text.to_owned(),
            Wrong::Behind(words) => format!("{words}{}", self.token),
            Wrong::Claims(claims) => self.signed(claims, SECRET)?,
            Wrong::OtherKey => {
                let claims = "{\"username\":\"root\",\"revision\":{revision},\"exp\":{exp}}";
                self.signed(claims, "another secret")?
            }
            Wrong::Unsigned(header) => {
                let claims = "{\"username\":\"root\",\"revision\":{revision},\"exp\":{exp}}";
                let claims = self.filled(claims)?;
                format!("{}.{}.", base64url(header.as_bytes()), base64url(claims.as_bytes()))
            }
        };
        Ok(self.read(Some(&token)).await)
    }

    fn filled(&self, claims: &str) -> Result<String> {
        let end = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 1000;
        let claims = claims.replace("{exp}", &end.to_string());
        Ok(claims.replace("{revision}", &self.auth_revision.to_string()))
    }

    /// A JWT with these claims and a true signature.
    fn signed(&self, claims: &str, secret: &str) -> Result<String> {
        let head = base64url(b"{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
        let text = format!("{head}.{}", base64url(self.filled(claims)?.as_bytes()));
        let provider = rustls::crypto::ring::default_provider();
        let suite = provider.cipher_suites.iter().find_map(|suite| match suite {
            SupportedCipherSuite::Tls13(suite) if suite.common.hash_provider.output_len() == 32 => {
                Some(*suite)
            }
            _ => None,
        });
        let hkdf = suite.context("a suite with SHA-256")?.hkdf_provider;
        let tag = hkdf.hmac_sign(&OkmBlock::new(secret.as_bytes()), text.as_bytes());
        Ok(format!("{text}.{}", base64url(tag.as_ref())))
    }

    /// Reads a key with this token.
    async fn read(&mut self, token: Option<&str>) -> String {
        let range = pb::RangeRequest { key: "a".into(), ..Default::default() };
        let mut request = Request::new(range);
        if let Some(token) = token {
            let Ok(value) = token.parse() else { return format!("{token:?} is no header") };
            request.metadata_mut().insert("token", value);
        }
        match self.kv.range(request).await {
            Ok(_) => "ok".to_owned(),
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        }
    }
}

/// Base64 as URLs have it, without filling.
fn base64url(bytes: &[u8]) -> String {
    base64(bytes, true).trim_end_matches('=').to_owned()
}
