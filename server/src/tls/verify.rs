//! Whom to believe: the CA's signature, then the list of the revoked, then the allowed names.
//!
//! Compat: etcd's checks, and alerts that Go's would send. A certificate that itself stands in the
//! CA file is believed, as Go does, also when it is a CA's own.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::certificate::{PeerCertificate, is_valid_for, validity};
use super::revoked::Revoked;
use crate::config::AllowedNames;

/// What is asked of a certificate beside the CA's signature.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) allowed: AllowedNames,
    pub(super) revoked: Arc<Revoked>,
    /// The certificates of the CA file.
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

impl Rules {
    fn check_names(&self, leaf: &CertificateDer<'_>) -> Result<(), CertificateError> {
        let allowed = match &self.allowed {
            AllowedNames::Any => true,
            AllowedNames::CommonNames(names) => PeerCertificate::read(leaf)
                .is_some_and(|shown| names.iter().any(|name| **name == *shown.common_name)),
            AllowedNames::Hosts(hosts) => hosts.iter().any(|host| is_valid_for(leaf, host)),
        };
        // Go's alert for it is "bad certificate", which is what this error is sent as.
        if allowed { Ok(()) } else { Err(CertificateError::NotValidForName) }
    }

    /// Go believes a certificate that is in its pool; webpki refuses a CA's as somebody's own.
    fn is_trusted_itself(&self, leaf: &CertificateDer<'_>, now: UnixTime) -> bool {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let in_time = validity(leaf).is_some_and(|validity| validity.contains(&now));
        in_time && self.trusted.iter().any(|trusted| trusted == leaf)
    }
}

/// Verifies whoever dials us.
#[derive(Debug)]
pub(super) struct Dialling {
    pub(super) inner: Arc<dyn ClientCertVerifier>,
    pub(super) rules: Arc<Rules>,
}

impl ClientCertVerifier for Dialling {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.inner.verify_client_cert(leaf, chain, now) {
            Err(error) if !self.rules.is_trusted_itself(leaf, now) => return Err(error),
            _ => {}
        }
        self.rules.revoked.check_dialling(leaf, chain)?;
        self.rules.check_names(leaf)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whose certificate is believed when we dial.
#[derive(Debug)]
pub(super) enum Believes {
    /// Signed by a CA, for the name that was dialled.
    Signed(Arc<WebPkiServerVerifier>),
    /// The members' certificates are of their own making, and nobody vouches for them.
    Anybody,
    /// There is no CA to ask.
    Nobody,
}

/// Verifies whom we dial.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) believes: Believes,
    pub(super) rules: Arc<Rules>,
    pub(super) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Dialled {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = match &self.believes {
            Believes::Signed(inner) => inner.verify_server_cert(leaf, chain, name, ocsp, now),
            Believes::Anybody => Ok(ServerCertVerified::assertion()),
            Believes::Nobody => Err(CertificateError::UnknownIssuer.into()),
        };
        if let Err(error) = verified {
            let named = is_valid_for(leaf, &name.to_str());
            if !(named && self.rules.is_trusted_itself(leaf, now)) {
                return Err(error);
            }
        }
        self.rules.revoked.check_dialled(leaf, chain)?;
        self.rules.check_names(leaf)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, schemes)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let schemes = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, schemes)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
