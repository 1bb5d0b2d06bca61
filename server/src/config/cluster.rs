//! `--initial-cluster`: who founds the cluster, and etcd's checks of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConfigError, Endpoint};

/// One founding member: its name and its peer URLs, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterMember {
    /// The member's `--name`.
    pub name: String,
    /// Its peer URLs, sorted by text; never empty.
    pub peer_urls: Vec<Endpoint>,
}

/// The founding members, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialCluster {
    /// Sorted by name, names unique.
    pub members: Vec<ClusterMember>,
}

impl InitialCluster {
    /// Reads `name=url,name=url…`; a name given twice collects its URLs, as in etcd.
    pub fn read(given: &str) -> Result<Self, ConfigError> {
        let mut by_name: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
        for part in given.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, url) = part.split_once('=').unwrap_or((part, ""));
            if url.is_empty() {
                return Err(ConfigError::unusable(format!(
                    "invalid value {given:?} for flag -initial-cluster: \
                     empty URL given for {name:?}"
                )));
            }
            let url = Endpoint::read(url).map_err(|error| {
                // Compat: etcd's words and its code 1, though a flag's URLs end with 2.
                let why = error.text;
                ConfigError::unusable(format!("error setting up initial cluster: {why}"))
            })?;
            by_name.entry(name.to_owned()).or_default().push(url);
        }
        if by_name.is_empty() {
            return Err(ConfigError::unusable(
                "initial cluster unset and no discovery endpoints found",
            ));
        }
        let members = by_name
            .into_iter()
            .map(|(name, mut peer_urls)| {
                peer_urls.sort();
                ClusterMember { name, peer_urls }
            })
            .collect();
        Ok(InitialCluster { members })
    }

    /// etcd's bootstrap checks: own name present, own URLs equal, no URL twice.
    pub fn check(&self, name: &str, advertised: &[Endpoint]) -> Result<(), ConfigError> {
        let own = self.members.iter().find(|member| member.name == name).ok_or_else(|| {
            ConfigError::unusable(format!(
                "couldn't find local name {name:?} in the initial cluster configuration"
            ))
        })?;
        check_own_urls(own, advertised)?;
        if self.has_url_twice() {
            return Err(ConfigError::unusable(format!("initial cluster {self} has duplicate url")));
        }
        Ok(())
    }

    /// Whether one URL is given for two members, or twice.
    pub(crate) fn has_url_twice(&self) -> bool {
        let mut seen = BTreeSet::new();
        self.members.iter().flat_map(|m| &m.peer_urls).any(|url| !seen.insert(&url.text))
    }
}

impl std::fmt::Display for InitialCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self
            .members
            .iter()
            .flat_map(|m| m.peer_urls.iter().map(move |url| format!("{}={url}", m.name)))
            .collect();
        f.write_str(&all.join(","))
    }
}

fn check_own_urls(own: &ClusterMember, advertised: &[Endpoint]) -> Result<(), ConfigError> {
    let name = &own.name;
    let list = |urls: &[&Endpoint]| {
        urls.iter().map(|url| format!("{name}={url}")).collect::<Vec<_>>().join(",")
    };
    let missing: Vec<_> = own.peer_urls.iter().filter(|url| !advertised.contains(url)).collect();
    if !missing.is_empty() {
        let advertised: Vec<_> = advertised.iter().map(|url| url.text.as_str()).collect();
        return Err(ConfigError::unusable(format!(
            "--initial-cluster has {} but missing from --initial-advertise-peer-urls={}",
            list(&missing),
            advertised.join(",")
        )));
    }
    let missing: Vec<_> = advertised.iter().filter(|url| !own.peer_urls.contains(url)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let texts: Vec<_> = missing.iter().map(|url| url.text.as_str()).collect();
    Err(ConfigError::unusable(format!(
        "--initial-advertise-peer-urls has {} but missing from --initial-cluster={}",
        texts.join(","),
        list(&advertised.iter().collect::<Vec<_>>())
    )))
}
