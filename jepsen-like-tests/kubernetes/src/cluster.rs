//! Three members of a store with API servers on all of them.
//!
//! Invariants: everything lives in one folder and on free loopback ports; the processes end with
//! the cluster; each API server is given the endpoints of all members.
//!
//! Must not know: what is asked of the servers, and when a member is killed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::client::Client;
use crate::process::{Process, Programs, free_ports};
use crate::sides::{Api, Side, Store, TOKEN, start_api, start_store_member, write_kubeconfig};

/// Members of the store.
pub(crate) const MEMBERS: usize = 3;

/// Three members and the API servers on them.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The members, in the order of their numbers.
    pub(crate) members: Vec<Process>,
    /// Their client URLs.
    pub(crate) endpoints: Vec<String>,
    /// The API servers, each a side without a store of its own.
    pub(crate) sides: Vec<Side>,
    store: Store,
    folder: PathBuf,
    ports: Vec<(u16, u16)>,
}

impl Cluster {
    /// Starts everything and waits until each API server is ready.
    pub(crate) async fn start(
        programs: &Programs,
        folder: &Path,
        api: Api,
        store: Store,
        servers: usize,
        flags: &[&str],
    ) -> Result<Self> {
        let ports = free_ports(MEMBERS * 2 + servers)?;
        let (of_members, of_servers) = ports.split_at(MEMBERS * 2);
        let ports: Vec<_> = of_members.chunks(2).map(|it| (it[0], it[1])).collect();
        let endpoints: Vec<_> =
            ports.iter().map(|(client, _)| format!("http://127.0.0.1:{client}")).collect();
        let members = (0..MEMBERS)
            .map(|number| start_store_member(programs, folder, store, &ports, number))
            .collect::<Result<Vec<_>>>()?;
        let sides = Vec::new();
        let mut cluster =
            Self { members, endpoints, sides, store, folder: folder.to_owned(), ports };
        for port in of_servers {
            let name = format!("api-{port}");
            let own = folder.join(&name);
            std::fs::create_dir_all(&own)?;
            let endpoints = cluster.endpoints.join(",");
            let server = start_api(programs, &own, api, &endpoints, *port, flags)?;
            let mut side = Side {
                client: Client::new(*port, TOKEN)?,
                kubeconfig: write_kubeconfig(&own, "kubeconfig", *port)?,
                processes: vec![server],
                ready_after: Duration::ZERO,
                port: *port,
                folder: own,
                name,
            };
            side.wait_ready().await?;
            cluster.sides.push(side);
        }
        Ok(cluster)
    }

    /// Starts a member anew that was killed, on its own data.
    pub(crate) fn restart(&mut self, programs: &Programs, number: usize) -> Result<()> {
        let Self { folder, store, ports, .. } = self;
        self.members[number] = start_store_member(programs, folder, *store, ports, number)?;
        Ok(())
    }

    /// The number of the member that leads.
    pub(crate) async fn leader(&self, programs: &Programs) -> Result<usize> {
        for (number, endpoint) in self.endpoints.iter().enumerate() {
            let arguments = ["endpoint", "status", "-w", "json", "--endpoints", endpoint];
            let Ok(status) = etcdctl(programs, &arguments).await else { continue };
            let status: Value = serde_json::from_str(&status).unwrap_or_default();
            let status = &status[0]["Status"];
            if !status.is_null() && status["leader"] == status["header"]["member_id"] {
                return Ok(number);
            }
        }
        bail!("no member says that it leads")
    }
}

/// Runs the real etcdctl; gives its standard output.
///
/// *Errors*: it failed; what it said.
pub(crate) async fn etcdctl(programs: &Programs, arguments: &[&str]) -> Result<String> {
    let mut command = tokio::process::Command::new(programs.peer("etcdctl"));
    command.args(arguments).kill_on_drop(true);
    let output = command.output().await.context("starting etcdctl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "etcdctl {}: {said}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
