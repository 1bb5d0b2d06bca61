//! `--discovery-*`: where founding members find each other, with etcd's checks and texts.
//! Must not know: gRPC, files' contents.

use std::path::PathBuf;
use std::time::Duration;

use super::ConfigError;
use super::values::Values;

/// A store through which the founding members of a cluster find each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscoverySettings {
    /// Names the cluster among others of that store.
    pub token: String,
    /// The store's endpoints, sorted, each once.
    pub endpoints: Vec<String>,
    /// How long connecting to an endpoint may take.
    pub dial_timeout: Duration,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// How often the store is pinged while members are waited for.
    pub keepalive_time: Duration,
    /// How long the answer to such a ping may take.
    pub keepalive_timeout: Duration,
    /// Endpoints without a scheme are spoken to in the clear, unless files for TLS are given.
    pub insecure_transport: bool,
    /// Whoever answers is believed.
    pub insecure_skip_verify: bool,
    /// Our certificate, PEM, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The CAs of the store, PEM.
    pub trusted_ca: Option<PathBuf>,
    /// Name and password, where the store wants them.
    pub user: Option<(String, Secret)>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// None when there are no endpoints.
pub(super) fn read(values: &Values<'_>) -> Result<Option<DiscoverySettings>, ConfigError> {
    let token = values.text("discovery-token").to_owned();
    let given = values.text("discovery-endpoints");
    if values.0.get("initial-cluster").is_some_and(|given| !given.is_empty()) && !given.is_empty() {
        return Err(ConfigError::unusable(
            "multiple discovery or bootstrap flags are set. Choose one of \"initial-cluster\", \
             \"discovery-endpoints\" or \"discovery-srv\"",
        ));
    }
    if token.is_empty() != given.is_empty() {
        return Err(ConfigError::unusable(
            "both --discovery-token and --discovery-endpoints must be set",
        ));
    }
    if given.is_empty() {
        return Ok(None);
    }
    let mut endpoints: Vec<String> = given.split(',').map(|text| text.trim().to_owned()).collect();
    if endpoints.iter().any(String::is_empty) {
        return Err(ConfigError::unusable(
            "--discovery-endpoints must not contain empty endpoints",
        ));
    }
    if values.text("initial-cluster-state") == "existing" {
        return Err(ConfigError::unusable(
            "discovery URL should not be set when joining existing initial cluster",
        ));
    }
    endpoints.sort();
    endpoints.dedup();
    Ok(Some(DiscoverySettings {
        token,
        endpoints,
        dial_timeout: values.duration("discovery-dial-timeout"),
        request_timeout: values.duration("discovery-request-timeout"),
        keepalive_time: values.duration("discovery-keepalive-time"),
        keepalive_timeout: values.duration("discovery-keepalive-timeout"),
        insecure_transport: values.switch("discovery-insecure-transport"),
        insecure_skip_verify: values.switch("discovery-insecure-skip-tls-verify"),
        certificate: certificate(values)?,
        trusted_ca: values.path("discovery-cacert"),
        user: user(values),
    }))
}

fn certificate(values: &Values<'_>) -> Result<Option<(PathBuf, PathBuf)>, ConfigError> {
    match (values.path("discovery-cert"), values.path("discovery-key")) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        (cert, key) => {
            let shown = |path: Option<PathBuf>| {
                path.map(|path| path.display().to_string()).unwrap_or_default()
            };
            Err(ConfigError::unusable(format!(
                "KeyFile and CertFile must both be present[key: {}, cert: {}]",
                shown(key),
                shown(cert)
            )))
        }
    }
}

fn user(values: &Values<'_>) -> Option<(String, Secret)> {
    let name = values.text("discovery-user");
    let password = values.text("discovery-password").to_owned();
    (!name.is_empty()).then(|| (name.to_owned(), Secret(password)))
}
