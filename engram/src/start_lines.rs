//! The lines that a member logs when it starts and ends, in etcd's words: operators search for
//! them.

use std::time::Duration;

use server::Member;
use server::config::{Endpoint, ServerConfig};
use server::version::{ENGRAM_VERSION, ETCD_VERSION};

use crate::data_dir::DataDir;

fn texts(urls: &[Endpoint]) -> Vec<&str> {
    urls.iter().map(|url| url.text.as_str()).collect()
}

/// Before consensus starts.
pub(crate) fn starting(config: &ServerConfig, data_dir: &DataDir) {
    tracing::info!(
        "listen-peer-urls" = ?texts(&config.listen_peer_urls),
        "configuring peer listeners"
    );
    tracing::info!(
        "listen-client-urls" = ?texts(&config.listen_client_urls),
        "configuring client listeners"
    );
    tracing::info!(
        "etcd-version" = ETCD_VERSION,
        "engram-version" = ENGRAM_VERSION,
        "member-initialized" = data_dir.is_initialized(),
        name = config.name,
        "data-dir" = %config.data_dir.display(),
        "heartbeat-interval" = shown(config.heartbeat_interval),
        "election-timeout" = shown(config.election_timeout),
        "snapshot-count" = config.snapshot_count,
        "initial-advertise-peer-urls" = ?texts(&config.advertise_peer_urls),
        "listen-peer-urls" = ?texts(&config.listen_peer_urls),
        "advertise-client-urls" = ?texts(&config.advertise_client_urls),
        "listen-client-urls" = ?texts(&config.listen_client_urls),
        "listen-metrics-urls" = ?texts(&config.listen_metrics_urls),
        "initial-cluster" = %config.initial_cluster,
        "initial-cluster-token" = config.initial_cluster_token,
        "quota-backend-bytes" = config.quota_backend_bytes,
        "max-request-bytes" = config.max_request_bytes,
        "max-concurrent-streams" = config.max_concurrent_streams,
        "starting an etcd server"
    );
}

/// When clients are served.
pub(crate) fn serving(member: &Member) {
    let config = member.config();
    tracing::info!(
        "local-member-id" = format!("{:x}", member.ids().member_id),
        "cluster-id" = format!("{:x}", member.ids().cluster_id),
        "initial-advertise-peer-urls" = ?texts(&config.advertise_peer_urls),
        "listen-peer-urls" = ?texts(&config.listen_peer_urls),
        "advertise-client-urls" = ?texts(&config.advertise_client_urls),
        "listen-client-urls" = ?texts(&config.listen_client_urls),
        "listen-metrics-urls" = ?texts(&config.listen_metrics_urls),
        "now serving peer/client/metrics"
    );
}

/// When the end begins.
pub(crate) fn closing(config: &ServerConfig) {
    tracing::info!(
        name = config.name,
        "data-dir" = %config.data_dir.display(),
        "advertise-peer-urls" = ?texts(&config.advertise_peer_urls),
        "advertise-client-urls" = ?texts(&config.advertise_client_urls),
        "closing etcd server"
    );
}

/// The last line.
pub(crate) fn closed(config: &ServerConfig) {
    tracing::info!(
        name = config.name,
        "data-dir" = %config.data_dir.display(),
        "advertise-peer-urls" = ?texts(&config.advertise_peer_urls),
        "advertise-client-urls" = ?texts(&config.advertise_client_urls),
        "closed etcd server"
    );
}

fn shown(duration: Duration) -> String {
    format!("{duration:?}")
}
