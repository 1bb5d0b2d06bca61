//! TLS settings from etcdctl's flags.
//!
//! Invariants: without `--cacert` the system's CAs are trusted; `--insecure-skip-tls-verify` turns
//! off the check of the certificate's owner and signer, and nothing else.
//!
//! Must not know: which endpoint is dialled.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::ToolError;
use crate::catalogue::Id;

/// Where Linux distributions keep the CAs they trust.
const SYSTEM_CAS: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The files and choices of etcdctl's TLS flags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files {
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) cert: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) skip_verify: bool,
}

impl Files {
    /// Whether any is given, which makes bare endpoints TLS ones.
    pub(crate) fn any(&self) -> bool {
        self.cacert.is_some() || self.cert.is_some() || self.key.is_some()
    }

    /// Reads the files.
    ///
    /// *Errors*: `TlsFiles` with the file's name.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, ToolError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| ToolError::of(Id::Tls, error.to_string()))?;
        let builder = if self.skip_verify {
            let anyone = Arc::new(Anyone(provider));
            builder.dangerous().with_custom_certificate_verifier(anyone)
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let mut config = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(key, error))?;
                builder.with_client_auth_cert(chain, secret).map_err(|error| bad(cert, error))?
            }
            _ => {
                let text = "--cert and --key are given together or not at all";
                return Err(ToolError::of(Id::TlsFiles, text));
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, ToolError> {
        let mut store = RootCertStore::empty();
        if let Some(path) = &self.cacert {
            for certificate in certificates(path)? {
                store.add(certificate).map_err(|error| bad(path, error))?;
            }
            return Ok(store);
        }
        let chosen = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let places = chosen.into_iter().chain(SYSTEM_CAS.iter().map(PathBuf::from));
        if let Some(path) = places.into_iter().find(|path| path.is_file()) {
            // The system's file may hold what rustls does not take; the rest is still good.
            store.add_parsable_certificates(certificates(&path)?);
        }
        Ok(store)
    }
}

/// The certificates of a PEM file.
///
/// *Errors*: `TlsFiles` when there are none.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ToolError> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| bad(path, error))?;
    let all: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| bad(path, error))?;
    if all.is_empty() {
        return Err(bad(path, "it holds no certificate"));
    }
    Ok(all)
}

fn bad(path: &Path, why: impl std::fmt::Display) -> ToolError {
    ToolError::of(Id::TlsFiles, format!("{}: {why}", path.display()))
}

/// Believes every certificate, for `--insecure-skip-tls-verify`; signatures are still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::Files;

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let files = Files { cert: Some("/nonexistent".into()), ..Files::default() };
        let error = files.config().expect_err("half a pair");
        assert_eq!(error.entry().id, "E-CTL-012");
    }

    #[test]
    fn a_missing_ca_file_is_named() {
        let files = Files { cacert: Some("/nonexistent/ca.pem".into()), ..Files::default() };
        let error = files.config().expect_err("no such file");
        assert!(error.to_string().starts_with("/nonexistent/ca.pem: "), "{error}");
    }
}
