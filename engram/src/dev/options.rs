//! What `engram dev` is told, and what follows for each member.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Parser;
use server::config::{self, ServerConfig};

/// Start a store and a Kubernetes API on this machine, ready in a second. Not for production: it
/// listens on loopback only, the store without authentication.
#[derive(Debug, Clone, Parser)]
#[command(name = "engram dev", disable_version_flag = true)]
pub(crate) struct Options {
    /// Where the data is kept
    #[arg(long, default_value = "engram-dev", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Members: 1, or 3 or 5 child processes that form a quorum
    #[arg(long, default_value_t = 1, value_parser = odd_members)]
    pub(crate) nodes: usize,
    /// Client port of the first member; its peer port is the next one
    #[arg(long, default_value_t = 2379, value_parser = clap::value_parser!(u16).range(1..=65_000))]
    pub(crate) client_port: u16,
    /// Port of the Kubernetes API [default: 6443; without Kubernetes when that is taken]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=65_535))]
    pub(crate) kube_port: Option<u16>,
    /// Simulated nodes of the Kubernetes cluster
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub(crate) sim_nodes: usize,
    /// The store alone, without the Kubernetes API
    #[arg(long)]
    pub(crate) no_kubernetes: bool,
    /// Remove the data at the end
    #[arg(long)]
    pub(crate) ephemeral: bool,
}

fn odd_members(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        "5" => Ok(5),
        _ => Err("1, 3 or 5".to_owned()),
    }
}

/// One member of the dev cluster.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) client_port: u16,
    pub(crate) peer_port: u16,
    pub(crate) data_dir: PathBuf,
    pub(crate) log: PathBuf,
    initial_cluster: String,
}

/// The distance of two members' ports: 2379, 2479 … keeps clear of kubeadm's 2381 and of etcd's.
const PORT_STEP: u16 = 100;
/// Where kubectl looks for a cluster on its own machine.
const KUBE_PORT: u16 = 6443;

impl Options {
    /// The members, first first.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let client_port = |at: usize| self.client_port + PORT_STEP * at as u16;
        let peers: Vec<String> = (0..self.nodes)
            .map(|at| format!("n{}=http://127.0.0.1:{}", at + 1, client_port(at) + 1))
            .collect();
        let node = |at: usize| {
            let name = format!("n{}", at + 1);
            Node {
                client_port: client_port(at),
                peer_port: client_port(at) + 1,
                data_dir: self.data_dir.join(&name),
                log: self.data_dir.join(format!("{name}.log")),
                initial_cluster: peers.join(","),
                name,
            }
        };
        (0..self.nodes).map(node).collect()
    }

    /// How the API server is made.
    pub(crate) fn apiserver(&self) -> apiserver::serve::Options {
        let address = SocketAddr::from(([127, 0, 0, 1], self.kube_port.unwrap_or(KUBE_PORT)));
        let folder = self.data_dir.join("kubernetes");
        let mut options = apiserver::serve::Options::new(address, folder);
        options.kubeconfig = Some(self.kubeconfig());
        options
    }

    /// The administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let path = self.data_dir.join("kubeconfig");
        std::path::absolute(&path).unwrap_or(path)
    }

    /// The log of the Kubernetes part where it is not the member's.
    pub(crate) fn kubernetes_log(&self) -> PathBuf {
        self.data_dir.join("kubernetes.log")
    }

    /// Makes the directory that holds all members and their logs.
    pub(crate) fn make_data_dir(&self) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.data_dir);
        made.with_context(|| format!("cannot make {}", self.data_dir.display()))
    }

    /// Keeps the promise of `--ephemeral`.
    pub(crate) fn remove_if_ephemeral(&self) -> Result<()> {
        if !self.ephemeral {
            return Ok(());
        }
        for node in self.nodes() {
            remove(&node.data_dir)?;
            remove(&node.log)?;
        }
        for path in ["kubernetes", "kubeconfig", "kubernetes.log"] {
            remove(&self.data_dir.join(path))?;
        }
        // Somebody else's files in it are no reason to complain.
        drop(std::fs::remove_dir(&self.data_dir));
        Ok(())
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = match path {
        path if path.is_dir() => std::fs::remove_dir_all(path),
        path if path.exists() => std::fs::remove_file(path),
        _ => Ok(()),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

impl Node {
    /// The client URL.
    pub(crate) fn client_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.client_port)
    }

    /// The flags of `engram server` for this member.
    pub(crate) fn flags(&self) -> Vec<String> {
        let peer_url = format!("http://127.0.0.1:{}", self.peer_port);
        let client_url = self.client_url();
        let rows = [
            ("name", self.name.clone()),
            ("data-dir", self.data_dir.display().to_string()),
            ("listen-client-urls", client_url.clone()),
            ("advertise-client-urls", client_url),
            ("listen-peer-urls", peer_url.clone()),
            ("initial-advertise-peer-urls", peer_url),
            ("initial-cluster", self.initial_cluster.clone()),
            ("initial-cluster-token", "engram-dev".to_owned()),
            ("log-outputs", self.log.display().to_string()),
            // History must not grow for ever on somebody's laptop.
            ("auto-compaction-retention", "1h".to_owned()),
        ];
        rows.into_iter().map(|(name, value)| format!("--{name}={value}")).collect()
    }

    /// The same as a configuration.
    pub(crate) fn config(&self) -> Result<ServerConfig> {
        let resolved = config::read(&self.flags(), &BTreeMap::new());
        Ok(resolved.context("the flags of a dev member")?.config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(std::iter::once("engram dev").chain(line.split_whitespace()))
    }

    #[test]
    fn each_member_has_its_own_ports_and_folders() {
        let options = options("--nodes 3 --client-port 3000 --data-dir /tmp/d").expect("valid");
        let nodes = options.nodes();
        let ports: Vec<_> = nodes.iter().map(|node| (node.client_port, node.peer_port)).collect();
        assert_eq!(ports, [(3000, 3001), (3100, 3101), (3200, 3201)]);
        assert_eq!(nodes[2].data_dir, Path::new("/tmp/d/n3"));
        for node in &nodes {
            let config = node.config().expect("valid flags");
            assert_eq!(config.initial_cluster.members.len(), 3);
        }
    }

    #[test]
    fn an_even_number_of_members_is_refused() {
        assert!(options("--nodes 2").is_err());
        assert!(options("--nodes 0").is_err());
        assert!(options("--bogus").is_err());
    }
}
