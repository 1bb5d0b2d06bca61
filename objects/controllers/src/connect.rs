//! The way to an API server: a client from a kubeconfig.
//!
//! Must not know: where the kubeconfig's text comes from.

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// A kubeconfig that leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// It cannot be read, or its parts do not fit.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// The address is none.
    #[error("{0:?} is no address of an API server")]
    Address(String),
    /// The client cannot be made of it.
    #[error("the client cannot be made: {0}")]
    Client(#[from] Box<kube::Error>),
}

/// A client by the text of a kubeconfig; `server` replaces the address in it. Nothing is connected
/// yet. Must be called on a runtime.
pub async fn connect(kubeconfig: &str, server: Option<&str>) -> Result<Client, ConnectError> {
    let mut kubeconfig = Kubeconfig::from_yaml(kubeconfig)?;
    if let Some(server) = server {
        for cluster in kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
            cluster.server = Some(server.to_owned());
        }
    }
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Client::try_from(config).map_err(|error| ConnectError::Client(Box::new(error)))
}

/// A client without credentials, for a server that asks for none.
pub fn connect_plainly(server: &str) -> Result<Client, ConnectError> {
    let address = server.parse().map_err(|_| ConnectError::Address(server.to_owned()))?;
    let client = Client::try_from(Config::new(address));
    client.map_err(|error| ConnectError::Client(Box::new(error)))
}
