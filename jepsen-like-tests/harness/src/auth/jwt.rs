//! JWTs of every method that etcd and Engram share: both servers have the same key, so that each
//! takes the other's tokens, and both refuse the same ones.
//!
//! Keys are made anew by OpenSSL for each run.
//! Must not know: how a token is checked.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use proto::etcdserverpb as pb;
use services::etcdserverpb::auth_client::AuthClient;
use services::etcdserverpb::kv_client::KvClient;
use sha2::{Digest as _, Sha256};
use tonic::Request;
use tonic::transport::Channel;

use super::ask::password;
use crate::diff::mask::{header, text};
use crate::process::{self, Kind, Member, Programs};

/// The methods, and what OpenSSL makes their keys with; none is a secret.
const METHODS: [(&str, &[&str]); 12] = [
    ("HS256", &[]),
    ("HS384", &[]),
    ("HS512", &[]),
    ("RS256", RSA),
    ("RS384", RSA),
    ("RS512", RSA),
    ("PS256", RSA),
    ("PS384", RSA),
    ("PS512", RSA),
    ("ES256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("ES384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("EdDSA", &["-algorithm", "ED25519"]),
];
const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];

/// Those of a short run: each kind of key.
const SHORT: [&str; 4] = ["RS256", "PS256", "ES256", "EdDSA"];

/// What the secret methods share.
const SECRET: &str = "a secret that both servers share";

/// Compares method by method; the number of answers compared, and what differed.
///
/// *Errors*: only what keeps the comparison from being made.
pub async fn run(programs: &Programs, folder: &Path, short: bool) -> Result<(u64, Vec<String>)> {
    let (mut compared, mut findings) = (0, Vec::new());
    for (method, key) in METHODS {
        if short && !SHORT.contains(&method) {
            continue;
        }
        let folder = folder.join(method);
        std::fs::create_dir_all(&folder)?;
        let key = Key::make(&folder, key)?;
        let etcd = start(programs, Kind::Etcd, &folder.join("etcd"), method, &key).await?;
        let engram = start(programs, Kind::Engram, &folder.join("engram"), method, &key).await?;
        let sides = [Side::open(&etcd).await?, Side::open(&engram).await?];
        let (count, found) = compare(&sides, &key).await.context(method)?;
        compared += count;
        findings.extend(found.into_iter().map(|finding| format!("{method}, {finding}")));
    }
    Ok((compared, findings))
}

/// The files of one key.
struct Key {
    private: PathBuf,
    public: Option<PathBuf>,
}

impl Key {
    fn make(folder: &Path, arguments: &[&str]) -> Result<Self> {
        let private = folder.join("key.pem");
        if arguments.is_empty() {
            std::fs::write(&private, SECRET)?;
            return Ok(Self { private, public: None });
        }
        let public = folder.join("key.pub.pem");
        let (key, open) = (private.display().to_string(), public.display().to_string());
        openssl(&[&["genpkey", "-out", &key], arguments].concat())?;
        openssl(&["pkey", "-in", &key, "-pubout", "-out", &open])?;
        Ok(Self { private, public: Some(public) })
    }

    fn flag(&self, method: &str) -> String {
        let private = self.private.display();
        let public = self.public.iter().map(|path| format!("pub-key={},", path.display()));
        let public: String = public.collect();
        format!("--auth-token=jwt,sign-method={method},{public}priv-key={private},ttl=20m")
    }
}

fn openssl(arguments: &[&str]) -> Result<()> {
    let made =
        Command::new("openssl").args(arguments).output().context("openssl makes the keys")?;
    ensure!(
        made.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    Ok(())
}

async fn start(
    programs: &Programs,
    kind: Kind,
    folder: &Path,
    method: &str,
    key: &Key,
) -> Result<Member> {
    std::fs::create_dir_all(folder)?;
    let token = key.flag(method);
    let mut flags = vec!["--bcrypt-cost=4", &token];
    if kind == Kind::Etcd {
        flags.push("--unsafe-no-fsync");
    }
    let mut member = process::cluster(programs, kind, folder, 1, &flags)?.remove(0);
    member.start()?;
    member.ready().await?;
    Ok(member)
}

/// One server with authentication on, and a token of its own for root.
struct Side {
    channel: Channel,
    token: String,
}

impl Side {
    async fn open(member: &Member) -> Result<Self> {
        let channel = process::dial(member.client_url()).await?;
        let mut auth = AuthClient::new(channel.clone());
        let (name, password) = ("root".to_owned(), password("root"));
        let user = pb::AuthUserAddRequest {
            name: name.clone(),
            password: password.clone(),
            ..Default::default()
        };
        auth.user_add(user).await?;
        auth.role_add(pb::AuthRoleAddRequest { name: name.clone() }).await?;
        let grant = pb::AuthUserGrantRoleRequest { user: name.clone(), role: name.clone() };
        auth.user_grant_role(grant).await?;
        auth.auth_enable(pb::AuthEnableRequest {}).await?;
        let request = pb::AuthenticateRequest { name, password };
        let token = auth.authenticate(request).await?.into_inner().token;
        Ok(Self { channel, token })
    }

    /// What a write and a question about users come to with this token.
    async fn answers(&self, token: &str) -> Result<String> {
        let put = pb::PutRequest { key: "a".into(), ..Default::default() };
        let put = KvClient::new(self.channel.clone()).put(with(token, put)?).await;
        let mut auth = AuthClient::new(self.channel.clone());
        let users = auth.user_list(with(token, pb::AuthUserListRequest {})?).await;
        let put = text(put, |answer| header(&mut answer.header));
        Ok(format!("{put}; {}", text(users, |answer| header(&mut answer.header))))
    }
}

fn with<T>(token: &str, message: T) -> Result<Request<T>> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("token", token.parse()?);
    Ok(request)
}

async fn compare([etcd, engram]: &[Side; 2], key: &Key) -> Result<(u64, Vec<String>)> {
    let mut findings = Vec::new();
    let (theirs, ours) = (parts(&etcd.token)?, parts(&engram.token)?);
    let (their_form, our_form) = (form(&theirs)?, form(&ours)?);
    if their_form != our_form {
        findings.push(format!("the tokens: etcd {their_form}, engram {our_form}"));
    }
    let mut compared = 1;
    for (name, token, is_good) in tokens(&theirs, &ours, key)? {
        let (theirs, ours) = (etcd.answers(&token).await?, engram.answers(&token).await?);
        compared += 1;
        if theirs != ours || theirs.contains("error") == is_good {
            findings.push(format!("{name}:\n    etcd:   {theirs}\n    engram: {ours}"));
        }
    }
    Ok((compared, findings))
}

/// Header, claims and signature as they stand in a token.
fn parts(token: &str) -> Result<[String; 3]> {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    <[String; 3]>::try_from(parts).ok().context("a JWT has three parts")
}

/// The header, and the claims without the time.
fn form([head, claims, signature]: &[String; 3]) -> Result<String> {
    let read = |part: &String| -> Result<serde_json::Value> {
        Ok(serde_json::from_slice(&BASE64.decode(part)?)?)
    };
    let mut claims = read(claims)?;
    let end = claims.get_mut("exp").map(serde_json::Value::take);
    let has_end = end.is_some_and(|end| end.is_u64());
    // One method's signatures are of one length.
    let length = BASE64.decode(signature)?.len();
    Ok(format!("{} {claims}, an end {has_end}, {length} bytes", read(head)?))
}

/// Tokens that both servers are shown, and whether they are good.
fn tokens(
    [head, claims, signature]: &[String; 3],
    ours: &[String; 3],
    key: &Key,
) -> Result<Vec<(&'static str, String, bool)>> {
    let other_claims = BASE64.encode(br#"{"username":"root","revision":1000,"exp":99999999999}"#);
    let unsigned = BASE64.encode(br#"{"alg":"none","typ":"JWT"}"#);
    let mut changed = BASE64.decode(signature)?;
    changed[5] ^= 1;
    let hmac = BASE64.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    // The oldest trick: the public key, which anybody may have, as the secret.
    let secret = std::fs::read(key.public.as_ref().unwrap_or(&key.private))?;
    let signed = format!("{hmac}.{claims}");
    let forged = BASE64.encode(hmac_sha256(&secret, signed.as_bytes()));
    let is_secret = key.public.is_none() && *head == hmac_head(head)?;
    Ok(vec![
        ("etcd's own token", format!("{head}.{claims}.{signature}"), true),
        ("Engram's own token", ours.join("."), true),
        ("with a bit changed", format!("{head}.{claims}.{}", BASE64.encode(changed)), false),
        ("with other claims", format!("{head}.{other_claims}.{signature}"), false),
        ("unsigned", format!("{unsigned}.{claims}."), false),
        ("unsigned with a signature", format!("{unsigned}.{claims}.{signature}"), false),
        ("without a signature", format!("{head}.{claims}."), false),
        ("of two parts", format!("{head}.{claims}"), false),
        ("of four parts", format!("{head}.{claims}.{signature}.{signature}"), false),
        ("signed with the public key as a secret", format!("{signed}.{forged}"), is_secret),
    ])
}

/// The head itself where its method is the one of the forged token, else another text.
fn hmac_head(head: &str) -> Result<String> {
    let read: serde_json::Value = serde_json::from_slice(&BASE64.decode(head)?)?;
    Ok(if read["alg"] == "HS256" { head.to_owned() } else { String::new() })
}

/// RFC 2104.
fn hmac_sha256(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    match secret.len() {
        0..=64 => block[..secret.len()].copy_from_slice(secret),
        _ => block[..32].copy_from_slice(&Sha256::digest(secret)),
    }
    let inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36)).chain_update(text);
    let outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forged_signature_is_an_hmac() {
        // RFC 4231, test case 2.
        let digest = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(digest[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }
}
