//! TLS for asking a server of others, as its client.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;

use super::revoked::Revoked;
use super::verify::{Believes, Dialled, Rules};
use super::{TlsError, files};
use crate::config::AllowedNames;

/// The rules for a connection to a server of a CA's (the system's when none is given), showing a
/// certificate and its key if there are some; with `skip_verify` to anybody.
///
/// *Errors*: a file that is missing, unreadable or does not fit its key.
pub(crate) fn client_config(
    trusted_ca: Option<&Path>,
    certificate: Option<(&Path, &Path)>,
    skip_verify: bool,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: rustls::Error| TlsError(format!("TLS: {error}"));
    let (believes, trusted) = believes(trusted_ca, skip_verify, &provider)?;
    let revoked = Arc::new(Revoked::load(None)?);
    let rules = Arc::new(Rules { allowed: AllowedNames::Any, revoked, trusted });
    let verifier = Dialled { believes, rules, provider: Arc::clone(&provider) };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let own = files::certified_key(cert, key, &provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

type Trusted = Vec<rustls::pki_types::CertificateDer<'static>>;

fn believes(
    trusted_ca: Option<&Path>,
    skip_verify: bool,
    provider: &Arc<CryptoProvider>,
) -> Result<(Believes, Trusted), TlsError> {
    if skip_verify {
        return Ok((Believes::Anybody, Vec::new()));
    }
    let (roots, trusted) = match files::trusted(trusted_ca) {
        Ok(found) => found,
        // Nobody needs the system's CAs until a server shows a certificate.
        Err(_) if trusted_ca.is_none() => return Ok((Believes::Nobody, Vec::new())),
        Err(error) => return Err(error),
    };
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider));
    let verifier = verifier.build().map_err(|error| TlsError(format!("TLS: {error}")))?;
    Ok((Believes::Signed(verifier), trusted))
}
