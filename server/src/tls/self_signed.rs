//! `--auto-tls` and `--peer-auto-tls`: a certificate of our own making, kept in the data directory.
//!
//! Invariant: a certificate that is there is used as it is, so that a restart shows the same one.
//! *Source*: etcd `SelfCert`: the folder, the file names, the owner's organisation, the hosts.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use super::TlsError;
use crate::clock::date;
use crate::config::{Endpoint, TlsFiles, TlsSettings};

/// The files with the certificate that was made (now, or by a run before).
pub(super) fn made(
    files: &TlsFiles,
    folder: &Path,
    listeners: &[Endpoint],
    settings: &TlsSettings,
) -> Result<TlsFiles, TlsError> {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    if !(cert.exists() && key.exists()) {
        let hosts = listeners.iter().map(|url| url.host.clone()).collect();
        let (cert_pem, key_pem) = generate(hosts, settings.self_signed_years)
            .map_err(|error| TlsError(format!("cannot generate a certificate: {error}")))?;
        let written = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| write(&key, &key_pem, 0o600))
            .and_then(|()| write(&cert, &cert_pem, 0o644));
        written.map_err(|error| TlsError(format!("cannot write {}: {error}", folder.display())))?;
        tracing::warn!(path = %cert.display(), "automatically generate certificates");
    }
    Ok(TlsFiles {
        cert: Some(cert.clone()),
        key: Some(key.clone()),
        client_cert: Some(cert),
        client_key: Some(key),
        ..files.clone()
    })
}

fn generate(hosts: Vec<String>, years: u64) -> Result<(String, String), rcgen::Error> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "etcd");
    let now = date();
    params.not_before = now.into();
    let days = u32::try_from(years.saturating_mul(365)).unwrap_or(u32::MAX);
    params.not_after = (now + DAY * days).into();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
