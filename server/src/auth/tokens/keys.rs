//! The keys of JWTs, from the files that `--auth-token` names: what signs, and what verifies.
//!
//! Invariants: a private key alone verifies too; a public key alone only verifies; two keys that
//! are no pair are refused. No error tells a key's content.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RsaKeyPair,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::AuthTokenError;

/// What signs and what verifies.
pub(super) struct Keys {
    /// `None`: tokens are made elsewhere.
    pub(super) signing: Option<EncodingKey>,
    pub(super) verifying: DecodingKey,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Hmac,
    Rsa,
    Ec,
    Ed,
}

fn family(method: Algorithm) -> Family {
    use Algorithm::*;
    match method {
        HS256 | HS384 | HS512 => Family::Hmac,
        RS256 | RS384 | RS512 | PS256 | PS384 | PS512 => Family::Rsa,
        ES256 | ES384 => Family::Ec,
        EdDSA => Family::Ed,
    }
}

impl Keys {
    /// Reads the content of the two files, either of which may be missing.
    pub(super) fn read(
        method: Algorithm,
        public: Option<&[u8]>,
        private: Option<&[u8]>,
    ) -> Result<Self, AuthTokenError> {
        let (public, private) = (not_empty(public), not_empty(private));
        let family = family(method);
        if family == Family::Hmac {
            let secret = private.ok_or(AuthTokenError::MissingKey)?;
            return Ok(Keys {
                signing: Some(EncodingKey::from_secret(secret)),
                verifying: DecodingKey::from_secret(secret),
            });
        }
        let private = private.map(|pem| Private::read(family, method, pem)).transpose()?;
        let public = public.map(|pem| public_bytes(family, pem)).transpose()?;
        let verifying = match (&private, &public) {
            (None, None) => return Err(AuthTokenError::MissingKey),
            (Some(private), Some(public)) if private.public != *public => {
                return Err(AuthTokenError::KeyMismatch);
            }
            (Some(private), _) => &private.public,
            (None, Some(public)) => public,
        };
        let verifying = match family {
            Family::Rsa => DecodingKey::from_rsa_der(verifying),
            Family::Ec => DecodingKey::from_ec_der(verifying),
            Family::Ed | Family::Hmac => DecodingKey::from_ed_der(verifying),
        };
        Ok(Keys { signing: private.map(|private| private.signing), verifying })
    }
}

fn not_empty(content: Option<&[u8]>) -> Option<&[u8]> {
    content.filter(|content| !content.is_empty())
}

/// A private key and the public one that follows from it, as it stands in a certificate.
struct Private {
    signing: EncodingKey,
    public: Vec<u8>,
}

impl Private {
    fn read(family: Family, method: Algorithm, pem: &[u8]) -> Result<Self, AuthTokenError> {
        let wrong = |_| not_private(family);
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(wrong)?;
        match (family, &der) {
            (Family::Rsa, PrivateKeyDer::Pkcs1(key)) => {
                Self::rsa(RsaKeyPair::from_der(key.secret_pkcs1_der()), pem)
            }
            (Family::Rsa, PrivateKeyDer::Pkcs8(key)) => {
                Self::rsa(RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()), pem)
            }
            (Family::Ec, PrivateKeyDer::Pkcs8(key)) => Self::ec(method, key.secret_pkcs8_der()),
            (Family::Ec, PrivateKeyDer::Sec1(key)) => {
                Self::ec(method, &pkcs8_of_sec1(method, key.secret_sec1_der()))
            }
            (Family::Ed, PrivateKeyDer::Pkcs8(key)) => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_pkcs8_der());
                let pair = pair.map_err(|_| not_private(family))?;
                let signing = EncodingKey::from_ed_der(key.secret_pkcs8_der());
                Ok(Private { signing, public: pair.public_key().as_ref().to_vec() })
            }
            _ => Err(not_private(family)),
        }
    }

    fn rsa<E>(pair: Result<RsaKeyPair, E>, pem: &[u8]) -> Result<Self, AuthTokenError> {
        let pair = pair.map_err(|_| not_private(Family::Rsa))?;
        let signing = EncodingKey::from_rsa_pem(pem).map_err(|_| not_private(Family::Rsa))?;
        Ok(Private { signing, public: pair.public_key().as_ref().to_vec() })
    }

    fn ec(method: Algorithm, pkcs8: &[u8]) -> Result<Self, AuthTokenError> {
        let curve = match method {
            Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
            _ => &ECDSA_P256_SHA256_FIXED_SIGNING,
        };
        let pair = EcdsaKeyPair::from_pkcs8(curve, pkcs8, &SystemRandom::new());
        let pair = pair.map_err(|_| not_private(Family::Ec))?;
        let signing = EncodingKey::from_ec_der(pkcs8);
        Ok(Private { signing, public: pair.public_key().as_ref().to_vec() })
    }
}

/// Compat: the texts of the library that etcd reads keys with.
fn not_private(family: Family) -> AuthTokenError {
    AuthTokenError::Key(match family {
        Family::Rsa => "invalid key: Key must be a PEM encoded PKCS1 or PKCS8 key",
        Family::Ec => "key is not a valid ECDSA private key",
        Family::Ed | Family::Hmac => "key is not a valid Ed25519 private key",
    })
}

fn not_public(family: Family) -> AuthTokenError {
    AuthTokenError::Key(match family {
        Family::Rsa => "key is not a valid RSA public key",
        Family::Ec => "key is not a valid ECDSA public key",
        Family::Ed | Family::Hmac => "key is not a valid Ed25519 public key",
    })
}

/// The bits of the public key in a `PUBLIC KEY` or in a certificate.
fn public_bytes(family: Family, pem: &[u8]) -> Result<Vec<u8>, AuthTokenError> {
    let bits = match SubjectPublicKeyInfoDer::from_pem_slice(pem) {
        Ok(der) => spki_bits(&der),
        Err(_) => CertificateDer::from_pem_slice(pem).ok().and_then(|der| certificate_bits(&der)),
    };
    bits.ok_or_else(|| not_public(family))
}

fn spki_bits(der: &[u8]) -> Option<Vec<u8>> {
    let (_, info) = SubjectPublicKeyInfo::from_der(der).ok()?;
    Some(info.subject_public_key.data.to_vec())
}

fn certificate_bits(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(certificate.public_key().subject_public_key.data.to_vec())
}

/// What OpenSSL writes as `EC PRIVATE KEY`, in the envelope that is read here.
fn pkcs8_of_sec1(method: Algorithm, sec1: &[u8]) -> Vec<u8> {
    // ecPublicKey with the curve: prime256v1 or secp384r1.
    const P256: &[u8] = &[
        0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    const P384: &[u8] = &[
        0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
        0x04, 0x00, 0x22,
    ];
    let algorithm = if method == Algorithm::ES384 { P384 } else { P256 };
    // The parameters that SEC1 repeats must not stand inside.
    let inner = without_parameters(sec1);
    let content = [&[0x02, 0x01, 0x00][..], algorithm, &der(0x04, &inner)].concat();
    der(0x30, &content)
}

/// An ECPrivateKey without its optional `[0]` parameters, which PKCS8 names outside.
fn without_parameters(sec1: &[u8]) -> Vec<u8> {
    let Some((0x30, content, _)) = read_der(sec1) else { return sec1.to_vec() };
    let (mut rest, mut kept) = (content, Vec::new());
    while let Some((tag, value, next)) = read_der(rest) {
        if tag != 0xa0 {
            kept.extend(der(tag, value));
        }
        rest = next;
    }
    der(0x30, &kept)
}

/// One value: its tag, its content, and what follows.
fn read_der(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        _ => return None,
    };
    let (content, next) = rest.split_at_checked(length)?;
    Some((tag, content, next))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        Ok(long) => out.extend([0x81, long]),
        Err(_) => {
            let [.., high, low] = length.to_be_bytes();
            out.extend([0x82, high, low]);
        }
    }
    out.extend_from_slice(content);
    out
}
