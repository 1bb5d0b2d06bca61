//! What the flags say of TLS: which files, whom to let in, which versions and suites.
//!
//! Compat: etcd's checks and texts. Must not know: files' contents, rustls. Reading the files is
//! `crate::tls`.

use std::path::PathBuf;

use super::values::Values;
use super::{ConfigError, Endpoint};

/// Whom a verified certificate must name to be let in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AllowedNames {
    /// Every certificate of the CA.
    #[default]
    Any,
    /// One of these common names.
    CommonNames(Vec<String>),
    /// A certificate that is valid for one of these names or addresses.
    Hosts(Vec<String>),
}

/// The files and rules of one kind of connection: with clients, or with peers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// The server's certificate with its chain, PEM.
    pub cert: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
    /// The certificate shown when dialling, when it is another one.
    pub client_cert: Option<PathBuf>,
    /// Its key.
    pub client_key: Option<PathBuf>,
    /// The CAs of the other side, PEM.
    pub trusted_ca: Option<PathBuf>,
    /// Revoked certificates, DER (as etcd takes it) or PEM.
    pub revoked: Option<PathBuf>,
    /// A client must show a certificate even without `trusted_ca`.
    pub client_cert_auth: bool,
    /// Make a certificate of our own when no file is given.
    pub auto: bool,
    /// Whom to let in.
    pub allowed: AllowedNames,
    /// Do not compare a dialling peer's address with the names in its certificate.
    pub skip_client_san: bool,
}

impl TlsFiles {
    /// Whether there is (or will be) a certificate to serve with.
    pub fn is_given(&self) -> bool {
        self.cert.is_some() || self.key.is_some() || self.auto
    }

    /// Whether whoever dials must show a certificate. *Source*: etcd `TLSInfo.ServerConfig`.
    pub fn wants_client_certificate(&self) -> bool {
        self.trusted_ca.is_some() || self.client_cert_auth
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2
    V12,
    /// TLS 1.3
    V13,
}

/// TLS as the flags want it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// Connections with clients.
    pub clients: TlsFiles,
    /// Connections with peers.
    pub peers: TlsFiles,
    /// The oldest version.
    pub version_min: TlsVersion,
    /// The newest version.
    pub version_max: TlsVersion,
    /// Suites of TLS 1.2 by their IANA names; empty for all of ours. Those of 1.3 cannot be chosen.
    pub cipher_suites: Vec<String>,
    /// How long a certificate of our own making is valid, in years.
    pub self_signed_years: u64,
}

/// The suites of TLS 1.2 that are offered: with forward secrecy and authenticated encryption.
pub const CIPHER_SUITES: [&str; 6] = [
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

/// Suites of TLS 1.3: accepted and always on, as with etcd.
const SUITES_13: [&str; 3] =
    ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// What else etcd would take: no forward secrecy, or no authenticated encryption.
const SUITES_WEAK: [&str; 13] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
];
const SUITES_WEAK_TOO: [&str; 3] = [
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

impl TlsSettings {
    pub(super) fn read(values: &Values<'_>) -> Result<Self, ConfigError> {
        let (version_min, version_max) =
            versions(values.text("tls-min-version"), values.text("tls-max-version"))?;
        let cipher_suites = cipher_suites(&values.list("cipher-suites"), version_min)?;
        let settings = TlsSettings {
            clients: clients(values)?,
            peers: peers(values)?,
            version_min,
            version_max,
            cipher_suites,
            self_signed_years: values.number("self-signed-cert-validity"),
        };
        let auto = settings.clients.auto || settings.peers.auto;
        if auto && !(1..=100).contains(&settings.self_signed_years) {
            return Err(ConfigError::unusable(
                "selfSignedCertValidity is invalid,it should be greater than 0 (and at most 100)",
            ));
        }
        Ok(settings)
    }
}

fn clients(values: &Values<'_>) -> Result<TlsFiles, ConfigError> {
    let files = TlsFiles {
        cert: values.path("cert-file"),
        key: values.path("key-file"),
        client_cert: values.path("client-cert-file"),
        client_key: values.path("client-key-file"),
        trusted_ca: values.path("trusted-ca-file"),
        revoked: values.path("client-crl-file"),
        client_cert_auth: values.switch("client-cert-auth"),
        auto: values.switch("auto-tls"),
        allowed: allowed(&[], &values.list("client-cert-allowed-hostname"))?,
        skip_client_san: true,
    };
    pairs(&files)?;
    Ok(files)
}

fn peers(values: &Values<'_>) -> Result<TlsFiles, ConfigError> {
    let files = TlsFiles {
        cert: values.path("peer-cert-file"),
        key: values.path("peer-key-file"),
        client_cert: values.path("peer-client-cert-file"),
        client_key: values.path("peer-client-key-file"),
        trusted_ca: values.path("peer-trusted-ca-file"),
        revoked: values.path("peer-crl-file"),
        client_cert_auth: values.switch("peer-client-cert-auth"),
        auto: values.switch("peer-auto-tls"),
        allowed: allowed(
            &values.list("peer-cert-allowed-cn"),
            &values.list("peer-cert-allowed-hostname"),
        )?,
        skip_client_san: values.switch("peer-skip-client-san-verification"),
    };
    pairs(&files)?;
    Ok(files)
}

fn allowed(names: &[String], hosts: &[String]) -> Result<AllowedNames, ConfigError> {
    match (names, hosts) {
        ([], []) => Ok(AllowedNames::Any),
        (names, []) => Ok(AllowedNames::CommonNames(names.to_vec())),
        ([], hosts) => Ok(AllowedNames::Hosts(hosts.to_vec())),
        (names, hosts) => Err(ConfigError::unusable(format!(
            "AllowedCNs and AllowedHostnames are mutually exclusive (cns={names:?}, \
             hostnames={hosts:?})"
        ))),
    }
}

/// A certificate without its key, or the other way round.
fn pairs(files: &TlsFiles) -> Result<(), ConfigError> {
    let shown = |path: &Option<PathBuf>| {
        path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    };
    if files.cert.is_some() != files.key.is_some() {
        return Err(ConfigError::unusable(format!(
            "KeyFile and CertFile must both be present[key: {}, cert: {}]",
            shown(&files.key),
            shown(&files.cert)
        )));
    }
    if files.client_cert.is_some() != files.client_key.is_some() {
        return Err(ConfigError::unusable(format!(
            "ClientKeyFile and ClientCertFile must both be present or both absent: key: {}, \
             cert: {}]",
            shown(&files.client_key),
            shown(&files.client_cert)
        )));
    }
    Ok(())
}

fn versions(min: &str, max: &str) -> Result<(TlsVersion, TlsVersion), ConfigError> {
    let read = |text: &str, when_empty| match text {
        "" => Ok(when_empty),
        "TLS1.2" => Ok(TlsVersion::V12),
        "TLS1.3" => Ok(TlsVersion::V13),
        other => Err(ConfigError::unusable(format!(
            "unexpected TLS version {other:?} (must be one of: TLS1.2, TLS1.3)"
        ))),
    };
    let (oldest, newest) = (read(min, TlsVersion::V12)?, read(max, TlsVersion::V13)?);
    if oldest > newest {
        return Err(ConfigError::unusable(format!(
            "min version ({min}) is greater than max version ({max})"
        )));
    }
    Ok((oldest, newest))
}

fn cipher_suites(given: &[String], oldest: TlsVersion) -> Result<Vec<String>, ConfigError> {
    if !given.is_empty() && oldest == TlsVersion::V13 {
        return Err(ConfigError::unusable(
            "cipher suites cannot be configured when only TLS1.3 is enabled",
        ));
    }
    let mut suites = Vec::new();
    for name in given {
        let whole = match name.as_str() {
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305" | "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305" => {
                format!("{name}_SHA256")
            }
            other => other.to_owned(),
        };
        if CIPHER_SUITES.contains(&whole.as_str()) {
            suites.push(whole);
        } else if SUITES_WEAK.iter().chain(&SUITES_WEAK_TOO).any(|weak| *weak == whole) {
            return Err(ConfigError::unusable(format!(
                "TLS cipher suite {name:?} is refused: without forward secrecy or authenticated \
                 encryption; offered are {}",
                CIPHER_SUITES.join(",")
            )));
        } else if !SUITES_13.contains(&whole.as_str()) {
            return Err(ConfigError::unusable(format!("unexpected TLS cipher suite {name:?}")));
        }
    }
    Ok(suites)
}

/// Every secure URL needs a certificate. *Source*: etcd's checks of its listeners.
pub(super) fn check_listeners(
    tls: &TlsSettings,
    clients: &[Endpoint],
    peers: &[Endpoint],
    metrics: &[Endpoint],
) -> Result<(), ConfigError> {
    let secure = |urls: &[Endpoint]| urls.iter().find(|url| url.is_secure()).cloned();
    if let Some(url) = secure(clients).filter(|_| !tls.clients.is_given()) {
        return Err(ConfigError::unusable(format!(
            "TLS key/cert (--cert-file, --key-file) must be provided for client url {url} with \
             HTTPS scheme"
        )));
    }
    if let Some(url) = secure(peers).filter(|_| !tls.peers.is_given()) {
        return Err(ConfigError::unusable(format!(
            "cannot listen on TLS for {}: KeyFile and CertFile are not presented",
            url.authority()
        )));
    }
    if secure(metrics).is_some() && !tls.clients.is_given() {
        return Err(ConfigError::unusable(
            "client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url",
        ));
    }
    Ok(())
}

/// What is worth a warning: files given for URLs that are in the clear.
pub(super) fn warn_of_clear_urls(
    tls: &TlsSettings,
    clients: &[Endpoint],
    peers: &[Endpoint],
    warnings: &mut Vec<String>,
) {
    let sides = [("client-url", &tls.clients, clients), ("peer-url", &tls.peers, peers)];
    for (name, files, urls) in sides {
        for url in urls.iter().filter(|url| !url.is_secure()) {
            if files.cert.is_some() {
                warnings.push(format!(
                    "scheme is http or unix while key and cert files are present; ignoring key \
                     and cert files ({name} {url})"
                ));
            }
            if files.client_cert_auth {
                warnings.push(format!(
                    "scheme is http or unix while --client-cert-auth is enabled; ignoring client \
                     cert auth for this URL ({name} {url})"
                ));
            }
        }
    }
}
