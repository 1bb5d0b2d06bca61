//! Who asks: by a client certificate, by a bearer token, or nobody known.
//!
//! Invariants: a credential that is shown and wrong is refused, also where nobody need be known; a
//! certificate that no CA of ours signed does not end the handshake, it is no credential.
//! Compat: kube-apiserver's x509 (CN is the user, O its groups) and static-token authenticators.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::tokens::Tokens;
use super::user::User;

/// What a connection's client showed in the handshake.
#[derive(Debug, Clone, Default)]
pub(crate) enum Shown {
    /// No certificate.
    #[default]
    Nothing,
    /// One that a CA of ours signed.
    Certificate(User),
    /// One that is worth nothing.
    BadCertificate,
}

/// A credential that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadCredential;

/// Finds out who asks.
#[derive(Debug)]
pub(crate) struct Authenticator {
    tokens: Tokens,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Authenticator {
    /// Of the tokens, and of the CAs that sign clients' certificates.
    pub(crate) fn new(
        tokens: Tokens,
        client_cas: Vec<CertificateDer<'static>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        for ca in client_cas {
            roots.add(ca)?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let verifier = builder.build().map_err(|error| Error::General(error.to_string()))?;
        Ok(Authenticator { tokens, verifier })
    }

    /// For the handshake: takes any certificate whose key the client has.
    pub(crate) fn handshake_verifier(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::new(AnyCertificate(Arc::clone(&self.verifier)))
    }

    /// What a certificate is worth; asked once for each connection.
    pub(crate) fn shown(&self, chain: Option<&[CertificateDer<'_>]>) -> Shown {
        let Some([leaf, intermediates @ ..]) = chain else { return Shown::Nothing };
        let verified = self.verifier.verify_client_cert(leaf, intermediates, UnixTime::now());
        match verified.ok().and_then(|_| owner(leaf)) {
            Some(user) => Shown::Certificate(user),
            None => Shown::BadCertificate,
        }
    }

    /// Who asks. *Errors*: a credential was shown, and none that was shown is good.
    pub(crate) fn user(
        &self,
        shown: &Shown,
        authorization: Option<&str>,
    ) -> Result<User, BadCredential> {
        if let Shown::Certificate(user) = shown {
            return Ok(user.clone());
        }
        let token = authorization.and_then(|header| {
            let (scheme, token) = header.trim().split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        match (token, shown) {
            (Some(token), _) if !token.is_empty() => self.token(token).ok_or(BadCredential),
            (_, Shown::BadCertificate) => Err(BadCredential),
            _ => Ok(User::anonymous()),
        }
    }

    /// Who a token stands for.
    pub(crate) fn token(&self, token: &str) -> Option<User> {
        self.tokens.user(token).cloned().map(User::authenticated)
    }
}

fn owner(leaf: &CertificateDer<'_>) -> Option<User> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let subject = certificate.subject();
    let name = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
    let groups = groups.map(str::to_owned).collect();
    Some(User { name, uid: String::new(), groups }.authenticated())
}

/// Leaves the judgement of the chain for later, where there is a way to say what is wrong.
#[derive(Debug)]
struct AnyCertificate(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
