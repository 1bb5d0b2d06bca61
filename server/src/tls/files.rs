//! Files into certificates, keys and lists of revoked serials.
//! Compat: the texts of Go's `os` and `crypto/tls`, which etcd hands on.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{CertificateRevocationList, FromDer as _};

use super::TlsError;

/// Where the system's CAs are, in Go's order.
const SYSTEM_CAS: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A file that the configuration names.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ => error.to_string(),
        };
        TlsError(format!("open {}: {why}", path.display()))
    })
}

/// What a file is like; none when it is not there.
pub(super) fn metadata(path: &Path) -> Option<std::fs::Metadata> {
    std::fs::metadata(path).ok()
}

/// A certificate with its chain and its key.
pub(super) fn certified_key(
    cert: &Path,
    key: &Path,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsError> {
    let chain =
        certificates(&read(cert)?).map_err(|why| TlsError(format!("{}: {why}", cert.display())))?;
    if chain.is_empty() {
        let text = "tls: failed to find any PEM data in certificate input";
        return Err(TlsError(format!("{}: {text}", cert.display())));
    }
    let pem = read(key)?;
    let shown = key.display();
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| TlsError(format!("{shown}: tls: failed to find any PEM data in key input")))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError(format!("{shown}: tls: private key does not match public key"))
        }
        error => TlsError(format!(
            "{shown}: {error}; keys are RSA from 2048 bits, ECDSA on P-256 or P-384, or Ed25519"
        )),
    })
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("it is no PEM: {error}"))
}

/// The CAs of a file, or the system's. *Errors*: none is in it.
pub(super) fn trusted(
    file: Option<&Path>,
) -> Result<(Arc<RootCertStore>, Vec<CertificateDer<'static>>), TlsError> {
    let path = file.map(Path::to_owned).unwrap_or_else(system_cas);
    let found = certificates(&read(&path)?)
        .map_err(|why| TlsError(format!("{}: {why}", path.display())))?;
    let mut roots = RootCertStore::empty();
    // Compat: what cannot be used is left out; Go does that with the system's too.
    roots.add_parsable_certificates(found.iter().cloned());
    if roots.is_empty() {
        return Err(TlsError(format!("{}: there is no CA certificate in it", path.display())));
    }
    Ok((Arc::new(roots), found))
}

fn system_cas() -> PathBuf {
    let there = SYSTEM_CAS.iter().map(Path::new).find(|path| path.exists());
    there.unwrap_or(Path::new(SYSTEM_CAS[0])).to_owned()
}

/// The serials of a CRL file, DER or PEM. Compat: like etcd, only serials count, whoever signed.
pub(super) fn revoked(file: &Path) -> Result<HashSet<Vec<u8>>, TlsError> {
    let bytes = read(file)?;
    let unreadable =
        || TlsError(format!("{}: it is no certificate revocation list", file.display()));
    let der = match bytes.starts_with(b"-----") {
        true => rustls::pki_types::CertificateRevocationListDer::from_pem_slice(&bytes)
            .map_err(|_| unreadable())?
            .to_vec(),
        false => bytes,
    };
    let (_, list) = CertificateRevocationList::from_der(&der).map_err(|_| unreadable())?;
    let serials = list.iter_revoked_certificates();
    Ok(serials.map(|entry| entry.user_certificate.to_bytes_be()).collect())
}

/// Says what is odd about a key file that works.
pub(super) fn warn_of_open_key(key: &Path) {
    let Some(found) = metadata(key) else { return };
    let mode = found.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        let mode = format!("{mode:o}");
        tracing::warn!(path = %key.display(), mode, "everybody on this machine may read this key");
    }
}
