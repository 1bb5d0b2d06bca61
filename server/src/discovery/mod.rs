//! Founding members find each other through another store: `--discovery-token` and
//! `--discovery-endpoints`.
//!
//! ```text
//! /_etcd/registry/<token>/_config/size        how many members found the cluster
//! /_etcd/registry/<token>/members/<member id> <name>=<peer url>[,<name>=<peer url>…]
//! ```
//!
//! Invariants: the members are those that registered first, as many as the size says, in the order
//! of their first registration; a member that is none of them does not start; registering again
//! changes nothing. *Source*: etcd's v3 discovery: keys, order, texts; members of both found one
//! cluster. Must not know: consensus, this member's own store.

mod client;

use std::time::Duration;

use proto::mvccpb::KeyValue;

use client::{Client, Refusal};

use crate::config::{ClusterState, InitialCluster, ServerConfig};

const REGISTRY: &str = "/_etcd/registry";
/// After so many failures the pause before the next try grows no more. *Source*: etcd.
const DOUBLINGS_MAX: u32 = 8;

/// Why the members could not be found. Nothing of this member has begun.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The store does not say how many members there are.
    #[error("discovery: size key not found")]
    SizeNotFound,
    /// The store says a number of members that is none.
    #[error("discovery: size key is bad")]
    BadSize,
    /// All members were there before this one.
    #[error("discovery: cluster is full")]
    Full,
    /// What the members registered is no list of URLs.
    #[error("discovery: invalid peer URL")]
    InvalidUrl,
    /// Two members registered one URL.
    #[error("discovery cluster {0} has duplicate url")]
    DuplicateUrl(String),
    /// The settings cannot be used, for instance a certificate.
    #[error("{0}")]
    Unusable(String),
}

/// Registers this member and waits for the others; `config` then names them all. Does nothing when
/// no discovery is wanted.
///
/// *Errors*: see [`DiscoveryError`]; trying again does not help. A store that cannot be reached is
/// tried without end, with pauses. *Cancellation*: the registration may have been made.
pub async fn discover(config: &mut ServerConfig) -> Result<(), DiscoveryError> {
    let Some(settings) = config.discovery.clone() else { return Ok(()) };
    if config.initial_cluster_state != ClusterState::New {
        return Ok(());
    }
    tracing::info!("Bootstrapping cluster using v3 discovery.");
    let own_urls: Vec<String> =
        config.advertise_peer_urls.iter().map(|url| url.text.clone()).collect();
    let id = raft::static_member_id(&own_urls, &config.initial_cluster_token);
    let registry = format!("{REGISTRY}/{}", settings.token);
    let mut joining = Joining {
        client: Client::new(settings).map_err(DiscoveryError::Unusable)?,
        size_key: format!("{registry}/_config/size"),
        own_key: format!("{registry}/members/{:x}", id.0),
        members_prefix: format!("{registry}/members"),
        failures: 0,
    };
    let found = joining.join(&config.initial_cluster.to_string()).await?;
    tracing::info!(cluster = found, "discovery joined cluster successfully");
    let cluster = InitialCluster::read(&found).map_err(|_| DiscoveryError::InvalidUrl)?;
    if cluster.has_url_twice() {
        return Err(DiscoveryError::DuplicateUrl(cluster.to_string()));
    }
    config.initial_cluster = cluster;
    Ok(())
}

/// One member on its way into a cluster.
struct Joining {
    client: Client,
    size_key: String,
    own_key: String,
    members_prefix: String,
    failures: u32,
}

/// Those that have registered, in the order in which they did.
struct Registered {
    rows: Vec<KeyValue>,
    revision: i64,
    size: usize,
}

impl Registered {
    /// Whether a key is among the members, or would be if it registered now.
    fn has_room_for(&self, key: &str) -> bool {
        let place = self.rows.iter().position(|row| row.key == key.as_bytes());
        place.unwrap_or(self.rows.len()) < self.size
    }

    fn is_whole(&self) -> bool {
        self.rows.len() >= self.size
    }

    fn members(&self) -> String {
        let rows = self.rows.iter().take(self.size);
        let texts: Vec<_> =
            rows.map(|row| String::from_utf8_lossy(&row.value).trim().to_owned()).collect();
        texts.join(",")
    }
}

impl Joining {
    async fn join(&mut self, own: &str) -> Result<String, DiscoveryError> {
        if !self.registered().await?.has_room_for(&self.own_key) {
            return Err(DiscoveryError::Full);
        }
        while let Err(refusal) = self.client.put(&self.own_key, own).await {
            self.pause("register member itself", &refusal).await;
        }
        self.failures = 0;
        tracing::info!(
            "memberKey" = self.own_key,
            "memberInfo" = own,
            "register member itself successfully"
        );
        loop {
            let registered = self.registered().await?;
            if !registered.has_room_for(&self.own_key) {
                return Err(DiscoveryError::Full);
            }
            let (size, found) = (registered.size, registered.rows.len());
            if registered.is_whole() {
                let message = "found all needed peers from discovery service";
                tracing::info!("clusterSize" = size, "found-peers" = found, "{message}");
                return Ok(registered.members());
            }
            let message = "waiting for peers from discovery service";
            tracing::info!("clusterSize" = size, "found-peers" = found, "{message}");
            let next = self.client.next_change(&self.members_prefix, registered.revision + 1);
            if let Err(refusal) = next.await {
                self.pause("cluster status check", &refusal).await;
            }
        }
    }

    /// Asks until the store answers.
    async fn registered(&mut self) -> Result<Registered, DiscoveryError> {
        loop {
            match self.ask().await {
                Ok(answer) => {
                    self.failures = 0;
                    return answer;
                }
                Err(refusal) => self.pause("cluster status check", &refusal).await,
            }
        }
    }

    async fn ask(&mut self) -> Result<Result<Registered, DiscoveryError>, Refusal> {
        let (size, _) = self.client.get(&self.size_key, false).await?;
        let Some(size) = size.into_iter().next() else {
            return Ok(Err(DiscoveryError::SizeNotFound));
        };
        let size = std::str::from_utf8(&size.value).ok().and_then(|text| text.parse().ok());
        let Some(size) = size.filter(|size: &usize| *size > 0) else {
            return Ok(Err(DiscoveryError::BadSize));
        };
        let (mut rows, revision) = self.client.get(&self.members_prefix, true).await?;
        // Compat: what is no registration is passed over.
        rows.retain(|row| row.value.contains(&b'='));
        rows.sort_by_key(|row| row.create_revision);
        Ok(Ok(Registered { rows, revision, size }))
    }

    async fn pause(&mut self, reason: &str, refusal: &Refusal) {
        self.failures = (self.failures + 1).min(DOUBLINGS_MAX);
        let backoff = Duration::from_secs(1 << self.failures);
        tracing::warn!(
            reason,
            ?backoff,
            error = refusal.0,
            "retry connecting to discovery service"
        );
        tokio::time::sleep(backoff).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(size: usize, keys: &[&str]) -> Registered {
        let row = |key: &&str| KeyValue {
            key: key.as_bytes().to_vec().into(),
            value: format!("{key}=http://{key}:1 ").into_bytes().into(),
            ..KeyValue::default()
        };
        Registered { rows: keys.iter().map(row).collect(), revision: 1, size }
    }

    #[test]
    fn the_first_to_register_are_the_members() {
        let three = registered(2, &["a", "b", "c"]);
        assert!(three.is_whole());
        assert_eq!(three.members(), "a=http://a:1,b=http://b:1");
        assert!(three.has_room_for("b") && !three.has_room_for("c") && !three.has_room_for("d"));
        let one = registered(2, &["a"]);
        assert!(!one.is_whole() && one.has_room_for("a") && one.has_room_for("d"));
    }
}
