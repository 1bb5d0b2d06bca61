//! The certificate folder: a CA of our own and what it signs, made when it is not there.
//!
//! ```text
//! <cert-dir>/ca.crt, ca.key                  the CA, for ten years
//! <cert-dir>/apiserver.crt, apiserver.key    what the server shows
//! <cert-dir>/<user>.crt, <user>.key          what a client shows: CN is the user, O its groups
//! ```
//!
//! Invariants: keys are readable by their owner alone; a file is written whole or not at all; a
//! certificate that is about to expire, or that lacks a wanted name, is made anew.

use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use super::private_file;
use super::user::User;

const CA_NAME: &str = "engram-ca";
const CA_YEARS: i16 = 10;
const YEARS: i16 = 1;
/// A certificate is made anew this long before its end, in seconds.
const RENEW_BEFORE_SECONDS: i64 = 30 * 24 * 3600;

/// A certificate chain and its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// The chain.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

/// Why there are no usable certificates.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The folder or a file in it.
    #[error("cannot access {path}: {source}")]
    File {
        /// Which.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// A file that holds something else.
    #[error("{path} holds no {what}")]
    Content {
        /// Which.
        path: String,
        /// What was looked for.
        what: &'static str,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// The folder, open.
#[derive(Debug)]
pub struct Pki {
    folder: PathBuf,
    ca: Pair,
    ca_key: KeyPair,
}

impl Pki {
    /// Opens the folder; makes it and its CA when they are not there.
    pub fn open(folder: &Path) -> Result<Self, PkiError> {
        private_file::make_folder(folder).map_err(|source| at(folder, source))?;
        let files = (folder.join("ca.crt"), folder.join("ca.key"));
        let ca = match read_pair(&files.0, &files.1)? {
            Some(ca) if still_good(&ca.certificate, &[]) => ca,
            _ => {
                let key = KeyPair::generate()?;
                let certificate = ca_params()?.self_signed(&key)?.pem();
                let ca = Pair { certificate, key: key.serialize_pem() };
                write_pair(&files.0, &files.1, &ca)?;
                ca
            }
        };
        let ca_key = KeyPair::from_pem(&ca.key)?;
        Ok(Pki { folder: folder.to_owned(), ca, ca_key })
    }

    /// The CA's certificate, as PEM.
    pub fn ca_certificate(&self) -> &str {
        &self.ca.certificate
    }

    /// What the server shows, valid for these names and addresses.
    pub fn server(&self, names: &[String]) -> Result<Pair, PkiError> {
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.signed("apiserver", params, names)
    }

    /// What a client shows to be this user.
    pub fn client(&self, file: &str, user: &User) -> Result<Pair, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for group in &user.groups {
            params.distinguished_name.push(DnType::OrganizationName, group.as_str());
        }
        params.distinguished_name.push(DnType::CommonName, user.name.as_str());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.signed(file, params, &[])
    }

    fn signed(
        &self,
        file: &str,
        mut params: CertificateParams,
        names: &[String],
    ) -> Result<Pair, PkiError> {
        let certificate_file = self.folder.join(format!("{file}.crt"));
        let key_file = self.folder.join(format!("{file}.key"));
        if let Some(pair) = read_pair(&certificate_file, &key_file)?
            && still_good(&pair.certificate, names)
            && self.signed_by_us(&pair.certificate)
        {
            return Ok(pair);
        }
        for_years(&mut params, YEARS);
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
        let key = KeyPair::generate()?;
        let ca = ca_params()?;
        let issuer = Issuer::from_params(&ca, &self.ca_key);
        let certificate = params.signed_by(&key, &issuer)?.pem();
        let pair = Pair { certificate, key: key.serialize_pem() };
        write_pair(&certificate_file, &key_file, &pair)?;
        Ok(pair)
    }

    fn signed_by_us(&self, certificate: &str) -> bool {
        let (Some(ca), Some(der)) = (first_der(&self.ca.certificate), first_der(certificate))
        else {
            return false;
        };
        let (Ok((_, ca)), Ok((_, certificate))) =
            (X509Certificate::from_der(&ca), X509Certificate::from_der(&der))
        else {
            return false;
        };
        // The CA's name is always the same, its key is not.
        let key_id = |x: &X509Certificate<'_>| {
            x.extensions().iter().find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
                _ => None,
            })
        };
        let signer = certificate.extensions().iter().find_map(|extension| {
            match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(id) => {
                    id.key_identifier.as_ref().map(|id| id.0.to_vec())
                }
                _ => None,
            }
        });
        signer.is_some() && signer == key_id(&ca)
    }
}

/// Reads a chain from PEM. *Errors*: there is no certificate in it.
pub fn certificates(pem: &str, path: &str) -> Result<Vec<CertificateDer<'static>>, PkiError> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let missing = || PkiError::Content { path: path.to_owned(), what: "PEM certificate" };
    parsed.ok().filter(|chain| !chain.is_empty()).ok_or_else(missing)
}

/// Reads a private key from PEM. *Errors*: there is none in it.
pub fn private_key(pem: &str, path: &str) -> Result<PrivateKeyDer<'static>, PkiError> {
    let missing = |_| PkiError::Content { path: path.to_owned(), what: "PEM private key" };
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(missing)
}

/// Reads a PEM file.
pub fn read(path: &Path) -> Result<String, PkiError> {
    std::fs::read_to_string(path).map_err(|source| at(path, source))
}

fn ca_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
    ];
    for_years(&mut params, CA_YEARS);
    Ok(params)
}

/// Valid from yesterday on, for clocks that differ.
fn for_years(params: &mut CertificateParams, years: i16) {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let begin = now.yesterday().unwrap_or(now);
    let year = i32::from(now.year()) + i32::from(years);
    let month = u8::try_from(begin.month()).unwrap_or(1);
    let day = u8::try_from(begin.day()).unwrap_or(1);
    params.not_before = rcgen::date_time_ymd(i32::from(begin.year()), month, day);
    // Every month of every year has a day up to the 28th.
    params.not_after = rcgen::date_time_ymd(year, month, day.min(28));
}

fn still_good(pem: &str, names: &[String]) -> bool {
    let Some(der) = first_der(pem) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else { return false };
    let end = certificate.validity().not_after.timestamp();
    let now = jiff::Timestamp::now().as_second();
    let has = |name: &String| {
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        alternatives.is_some_and(|all| all.value.general_names.iter().any(|one| is(one, name)))
    };
    now + RENEW_BEFORE_SECONDS < end && names.iter().all(has)
}

fn is(general: &GeneralName<'_>, name: &str) -> bool {
    match (general, name.parse::<std::net::IpAddr>()) {
        (GeneralName::DNSName(dns), Err(_)) => *dns == name,
        (GeneralName::IPAddress(bytes), Ok(std::net::IpAddr::V4(ip))) => *bytes == ip.octets(),
        (GeneralName::IPAddress(bytes), Ok(std::net::IpAddr::V6(ip))) => *bytes == ip.octets(),
        _ => false,
    }
}

fn first_der(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

fn read_pair(certificate: &Path, key: &Path) -> Result<Option<Pair>, PkiError> {
    let read = |path: &Path| match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(at(path, source)),
    };
    let (certificate, key) = (read(certificate)?, read(key)?);
    Ok(certificate.zip(key).map(|(certificate, key)| Pair { certificate, key }))
}

fn write_pair(certificate: &Path, key: &Path, pair: &Pair) -> Result<(), PkiError> {
    private_file::write(key, &pair.key).map_err(|source| at(key, source))?;
    private_file::write(certificate, &pair.certificate).map_err(|source| at(certificate, source))
}

fn at(path: &Path, source: io::Error) -> PkiError {
    PkiError::File { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_made_once_and_again_when_a_name_is_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let pki = Pki::open(folder.path()).expect("made");
        let names = |extra: &str| vec!["localhost".to_owned(), extra.to_owned()];
        let first = pki.server(&names("127.0.0.1")).expect("made");
        let pki = Pki::open(folder.path()).expect("read");
        assert_eq!(pki.server(&names("127.0.0.1")).expect("read"), first);
        let second = pki.server(&names("10.0.0.1")).expect("made anew");
        assert_ne!(second, first);
    }

    #[test]
    fn another_ca_signs_everything_anew() {
        let folder = tempfile::tempdir().expect("a folder");
        let user = User { name: "admin".to_owned(), ..User::default() };
        let first = Pki::open(folder.path()).expect("made").client("admin", &user).expect("made");
        std::fs::remove_file(folder.path().join("ca.key")).expect("removed");
        let second = Pki::open(folder.path()).expect("made").client("admin", &user).expect("made");
        assert_ne!(first, second);
    }
}
