//! The listeners' URLs and those that others dial, with etcd's checks and texts.
//! Must not know: sockets.

use super::tls::{self, TlsSettings};
use super::values::Values;
use super::{ConfigError, Endpoint};

/// All URLs of one member, checked.
pub(super) struct Urls {
    pub(super) listen_client: Vec<Endpoint>,
    pub(super) listen_client_http: Vec<Endpoint>,
    pub(super) advertise_client: Vec<Endpoint>,
    pub(super) listen_peer: Vec<Endpoint>,
    pub(super) advertise_peer: Vec<Endpoint>,
    pub(super) listen_metrics: Vec<Endpoint>,
}

impl Urls {
    pub(super) fn read(
        values: &Values<'_>,
        tls: &TlsSettings,
        warnings: &mut Vec<String>,
    ) -> Result<Self, ConfigError> {
        let listen_peer = values.urls("listen-peer-urls")?;
        let listen_client = values.urls("listen-client-urls")?;
        let listen_client_http = values.urls("listen-client-http-urls")?;
        let listen_metrics = values.urls("listen-metrics-urls")?;
        let clients: Vec<_> = listen_client.iter().chain(&listen_client_http).cloned().collect();
        for url in listen_peer.iter().chain(&clients).chain(&listen_metrics) {
            url.check_bindable()?;
        }
        check_shared(&listen_client, &listen_client_http)?;
        tls::check_listeners(tls, &clients, &listen_peer, &listen_metrics)?;
        tls::warn_of_clear_urls(tls, &clients, &listen_peer, warnings);
        let urls = Urls {
            advertise_client: advertised(values, "client", &listen_client, warnings)?,
            advertise_peer: advertised(values, "peer", &listen_peer, warnings)?,
            listen_client,
            listen_client_http,
            listen_peer,
            listen_metrics,
        };
        urls.check_hosts()?;
        Ok(urls)
    }

    fn check_hosts(&self) -> Result<(), ConfigError> {
        let no_host = |url: &&Endpoint| url.host.is_empty();
        if let Some(url) = self.advertise_peer.iter().find(no_host) {
            return Err(ConfigError::unusable(format!(
                "--initial-advertise-peer-urls {:?} must be \"host:port\" (unexpected empty host \
                 ({url}))",
                joined(&self.advertise_peer)
            )));
        }
        if let Some(url) = self.advertise_client.iter().find(no_host) {
            return Err(ConfigError::unusable(format!(
                "--advertise-client-urls {:?} must be in the format \"host:port\", \
                 \"unix:/path/to/socket\" or \"unixs:/path/to/socket\" (unexpected empty host \
                 ({url}))",
                joined(&self.advertise_client)
            )));
        }
        Ok(())
    }
}

/// Compat: an address serves gRPC and HTTP, or HTTP alone.
fn check_shared(both: &[Endpoint], http: &[Endpoint]) -> Result<(), ConfigError> {
    let shared = |url: &&Endpoint| both.iter().any(|other| other.authority() == url.authority());
    match http.iter().find(shared) {
        None => Ok(()),
        Some(url) => Err(ConfigError::unusable(format!(
            "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url \
             {url}"
        ))),
    }
}

fn joined(urls: &[Endpoint]) -> String {
    urls.iter().map(|url| url.text.as_str()).collect::<Vec<_>>().join(",")
}

/// etcd refuses a listen flag without its advertise flag; where the listen URL can be dialled by
/// others it is taken, and said.
fn advertised(
    values: &Values<'_>,
    side: &str,
    listen: &[Endpoint],
    warnings: &mut Vec<String>,
) -> Result<Vec<Endpoint>, ConfigError> {
    let (listen_flag, advertise_flag) = match side {
        "client" => ("listen-client-urls", "advertise-client-urls"),
        _ => ("listen-peer-urls", "initial-advertise-peer-urls"),
    };
    if values.0.get(advertise_flag).is_some() || values.0.get(listen_flag).is_none() {
        return values.urls(advertise_flag);
    }
    if listen.iter().any(Endpoint::is_wildcard) {
        return Err(ConfigError::unusable(format!(
            "--{advertise_flag} is required when --{listen_flag} is set explicitly"
        )));
    }
    warnings.push(format!("--{advertise_flag} is not given; taken as {}", joined(listen)));
    Ok(listen.to_vec())
}
