//! Founding members that were found through another store, kept in the data directory.
//!
//! Invariant: they are looked for once; whoever starts again founds the same cluster, whatever has
//! become of that store.

use anyhow::{Context as _, Result};
use server::config::{InitialCluster, ServerConfig};

use crate::data_dir::DataDir;

/// Makes `config` name all founding members, if they are to be discovered.
pub(crate) async fn find(config: &mut ServerConfig, data_dir: &DataDir) -> Result<()> {
    if config.discovery.is_none() {
        return Ok(());
    }
    if let Some(found) = data_dir.discovered()? {
        tracing::warn!(
            "discovery token is ignored since cluster already initialized; valid logs are found"
        );
        config.initial_cluster = InitialCluster::read(&found)
            .with_context(|| format!("the founding members of the data directory: {found:?}"))?;
        return Ok(());
    }
    if data_dir.is_initialized() {
        tracing::warn!("discovery token is ignored since cluster already initialized");
        return Ok(());
    }
    let token = config.discovery.as_ref().map(|discovery| discovery.token.clone());
    if let Err(error) = server::discover(config).await {
        tracing::warn!(
            "discovery-token" = token,
            %error,
            "failed to bootstrap; discovery token was already used"
        );
        tracing::warn!("do not reuse discovery token; generate a new one to bootstrap a cluster");
        return Err(error).context("failed to join discovery cluster");
    }
    data_dir.keep_discovered(&config.initial_cluster.to_string())
}
