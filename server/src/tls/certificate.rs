//! What a certificate says of its owner.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The certificate that the other side of a connection has shown and that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// The common name of its subject; empty when it has none. With `--client-cert-auth` it is the
    /// name of the user.
    pub common_name: Arc<str>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its addresses.
    pub ip_addresses: Vec<IpAddr>,
    /// Its serial number, hex.
    pub serial: String,
}

impl PeerCertificate {
    /// Reads a certificate. *Shape*: none for bytes that are no certificate.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let common_name = certificate.subject().iter_common_name().next();
        let common_name = common_name.and_then(|name| name.as_str().ok()).unwrap_or_default();
        let mut read = PeerCertificate {
            common_name: Arc::from(common_name),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            serial: hex(&serial_of(&certificate)),
        };
        let names = certificate.subject_alternative_name().ok().flatten();
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::DNSName(name) => read.dns_names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => read.ip_addresses.extend(ip(bytes)),
                _ => {}
            }
        }
        Some(read)
    }
}

fn serial_of(certificate: &X509Certificate<'_>) -> Vec<u8> {
    certificate.serial.to_bytes_be()
}

/// The serial number of a certificate, without leading zeros.
pub(super) fn serial(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(serial_of(&certificate))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

/// Whether a certificate is valid for a name or an address, as Go's `VerifyHostname` decides.
pub(super) fn is_valid_for(der: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(name) = ServerName::try_from(host) else { return false };
    let Ok(parsed) = rustls::server::ParsedCertificate::try_from(der) else { return false };
    rustls::client::verify_server_name(&parsed, &name).is_ok()
}

/// From when and until when it is valid, in seconds since 1970; none for bytes that are no
/// certificate.
pub(super) fn validity(der: &[u8]) -> Option<std::ops::Range<i64>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    Some(validity.not_before.timestamp()..validity.not_after.timestamp())
}
