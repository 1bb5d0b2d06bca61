//! The TLS of one kind of connection, and when its files are read again.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
};

use super::certificate::validity;
use super::revoked::Revoked;
use super::stamps::Stamps;
use super::verify::{Believes, Dialled, Dialling, Rules};
use super::{TlsError, files};
use crate::config::{TlsFiles, TlsSettings, TlsVersion};

/// gRPC and HTTP/1.1 share a port. Of two that the client offers, the first is taken.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The TLS of the connections with clients, or with peers.
#[derive(Debug)]
pub struct Side {
    files: TlsFiles,
    /// The certificate is of our own making: nobody vouches for it or for that of a peer.
    made: bool,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    watched: Vec<PathBuf>,
    revoked: Arc<Revoked>,
    loaded: Mutex<Loaded>,
}

#[derive(Debug, Clone)]
struct Loaded {
    /// What the files were like when they were last looked at.
    stamps: Stamps,
    configs: Configs,
}

/// What is made of the files.
#[derive(Debug, Clone)]
struct Configs {
    accepting: Arc<ServerConfig>,
    dialling: Arc<ClientConfig>,
}

impl Side {
    /// Reads the files. *Errors*: one of them cannot be used.
    pub(super) fn load(
        files: TlsFiles,
        made: bool,
        settings: &TlsSettings,
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(provider(&settings.cipher_suites));
        let versions = versions(settings);
        let watched = watched(&files);
        let stamps = Stamps::of(&watched);
        let revoked = Arc::new(Revoked::load(files.revoked.as_deref())?);
        let configs = configs(&files, made, &provider, &versions, &revoked)?;
        if let Some(key) = &files.key {
            files::warn_of_open_key(key);
        }
        let loaded = Mutex::new(Loaded { stamps, configs });
        Ok(Side { files, made, provider, versions, watched, revoked, loaded })
    }

    /// The rules for a connection that somebody opens to us now.
    pub fn accepting(&self) -> Arc<ServerConfig> {
        self.current().accepting
    }

    /// The rules for a connection that we open now.
    pub fn dialling(&self) -> Arc<ClientConfig> {
        self.current().dialling
    }

    /// Whether the address of whoever dials must be one of its certificate.
    pub(super) fn compares_addresses(&self) -> bool {
        !self.files.skip_client_san
    }

    /// The files and rules, as etcd shows them in its log.
    pub fn shown(&self) -> String {
        let path = |path: &Option<PathBuf>| {
            path.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
        };
        let files = &self.files;
        format!(
            "cert = {}, key = {}, client-cert={}, client-key={}, trusted-ca = {}, \
             client-cert-auth = {}, crl-file = {}",
            path(&files.cert),
            path(&files.key),
            path(&files.client_cert),
            path(&files.client_key),
            path(&files.trusted_ca),
            files.client_cert_auth,
            path(&files.revoked)
        )
    }

    /// A few questions to the file system, and what was read before while nothing changed.
    fn current(&self) -> Configs {
        let mut loaded = self.loaded.lock();
        let stamps = Stamps::of(&self.watched);
        if loaded.stamps == stamps {
            return loaded.configs.clone();
        }
        // Also after a failure: it is said once per change, not once per connection.
        loaded.stamps = stamps;
        match configs(&self.files, self.made, &self.provider, &self.versions, &self.revoked) {
            Ok(configs) => {
                tracing::info!(tls_info = self.shown(), "certificates were read again");
                loaded.configs = configs;
            }
            Err(error) => {
                let going_on = "with what was read before";
                tracing::warn!(%error, going_on, "failed to create peer certificate");
            }
        }
        loaded.configs.clone()
    }
}

fn watched(files: &TlsFiles) -> Vec<PathBuf> {
    let all = [&files.cert, &files.key, &files.client_cert, &files.client_key, &files.trusted_ca];
    all.into_iter().flatten().cloned().collect()
}

fn provider(chosen: &[String]) -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    let is_chosen = |suite: &SupportedCipherSuite| match suite {
        SupportedCipherSuite::Tls13(_) => true,
        SupportedCipherSuite::Tls12(_) => {
            let name = format!("{:?}", suite.suite());
            chosen.is_empty() || chosen.contains(&name)
        }
    };
    provider.cipher_suites.retain(is_chosen);
    provider
}

fn versions(settings: &TlsSettings) -> Vec<&'static SupportedProtocolVersion> {
    let mut versions = Vec::new();
    if settings.version_max >= TlsVersion::V13 {
        versions.push(&rustls::version::TLS13);
    }
    if settings.version_min <= TlsVersion::V12 {
        versions.push(&rustls::version::TLS12);
    }
    versions
}

fn configs(
    files: &TlsFiles,
    made: bool,
    provider: &Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    revoked: &Arc<Revoked>,
) -> Result<Configs, TlsError> {
    let key = |cert: &Option<PathBuf>, key: &Option<PathBuf>| match (cert, key) {
        (Some(cert), Some(key)) => files::certified_key(cert, key, provider).map(Some),
        _ => Ok(None),
    };
    let own = key(&files.cert, &files.key)?
        .ok_or_else(|| TlsError("KeyFile and CertFile are not presented".to_owned()))?;
    let own = Arc::new(own);
    warn_of_expiry(&own);
    let shown = key(&files.client_cert, &files.client_key)?.map_or(Arc::clone(&own), Arc::new);
    let (roots, trusted) = roots(files, made)?;
    let (allowed, revoked) = (files.allowed.clone(), Arc::clone(revoked));
    let rules = Arc::new(Rules { allowed, revoked, trusted });
    let parts = Parts { provider, versions, roots, rules };
    Ok(Configs {
        accepting: Arc::new(parts.accepting(own, files.wants_client_certificate())?),
        dialling: Arc::new(parts.dialling(shown, made)?),
    })
}

/// The CAs, and the certificates of their file.
///
/// *Shape*: none when nobody's certificate is to be verified, or when it would only be that of a
/// peer by the system's CAs and there are none.
fn roots(
    files: &TlsFiles,
    made: bool,
) -> Result<(Option<Arc<RootCertStore>>, Vec<CertificateDer<'static>>), TlsError> {
    if !files.wants_client_certificate() && made {
        return Ok((None, Vec::new()));
    }
    match files::trusted(files.trusted_ca.as_deref()) {
        Ok((roots, trusted)) => Ok((Some(roots), trusted)),
        Err(_) if !files.wants_client_certificate() => Ok((None, Vec::new())),
        Err(error) => Err(error),
    }
}

/// What both configurations are made of.
struct Parts<'a> {
    provider: &'a Arc<CryptoProvider>,
    versions: &'a [&'static SupportedProtocolVersion],
    roots: Option<Arc<RootCertStore>>,
    rules: Arc<Rules>,
}

fn unusable(error: impl std::fmt::Display) -> TlsError {
    TlsError(format!("TLS: {error}"))
}

impl Parts<'_> {
    fn accepting(&self, own: Arc<CertifiedKey>, wants: bool) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(self.provider))
            .with_protocol_versions(self.versions)
            .map_err(unusable)?;
        let builder = match &self.roots {
            Some(roots) if wants => {
                let (roots, provider) = (Arc::clone(roots), Arc::clone(self.provider));
                let inner = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let inner = inner.build().map_err(unusable)?;
                let rules = Arc::clone(&self.rules);
                builder.with_client_cert_verifier(Arc::new(Dialling { inner, rules }))
            }
            _ => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        // A resumed connection would show a certificate that nobody has looked at since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn dialling(&self, shown: Arc<CertifiedKey>, made: bool) -> Result<ClientConfig, TlsError> {
        let believes = match &self.roots {
            _ if made => Believes::Anybody,
            Some(roots) => {
                let (roots, provider) = (Arc::clone(roots), Arc::clone(self.provider));
                let inner = WebPkiServerVerifier::builder_with_provider(roots, provider);
                Believes::Signed(inner.build().map_err(unusable)?)
            }
            None => Believes::Nobody,
        };
        let (rules, provider) = (Arc::clone(&self.rules), Arc::clone(self.provider));
        let mut config = ClientConfig::builder_with_provider(Arc::clone(self.provider))
            .with_protocol_versions(self.versions)
            .map_err(unusable)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Dialled { believes, rules, provider }))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown)));
        config.alpn_protocols = vec![PROTOCOLS[0].to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

fn warn_of_expiry(own: &CertifiedKey) {
    let Some(validity) = own.end_entity_cert().ok().and_then(|der| validity(der)) else { return };
    let now = i64::try_from(crate::clock::since_1970().as_secs()).unwrap_or(i64::MAX);
    if validity.end <= now {
        tracing::warn!("own certificate has expired: nobody who checks it will connect");
    } else if now < validity.start {
        tracing::warn!("own certificate is not valid yet: nobody who checks it will connect");
    }
}
