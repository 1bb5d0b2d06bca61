//! The members of a drill: their processes, names and ids, and what is asked of them.
//!
//! Must not know: why something is asked.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use proto::etcdserverpb as pb;
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::gateway::http;
use crate::pause;
use crate::process::{self, Member, POLL, Programs};
use crate::rounds::RECOVERY_DEADLINE;

/// Log that is kept for a member that lags, in entries: few, so that a snapshot is soon needed.
const KEPT_ENTRIES: u32 = 50;
/// One value of [`Cluster::write_much`], in bytes.
const MUCH_BYTES: usize = 1 << 20;
/// Writes of [`Cluster::write_much`]: together more than a member applies between two flushes.
const MUCH_WRITES: usize = 72;
/// How long a flush of the state and the cut of the log after it may take.
const CUT_DEADLINE: Duration = Duration::from_secs(30);
/// What a member says when its leader sends it a snapshot.
const SNAPSHOT_SAID: &str = "receiving a snapshot";
/// What a member says when it ends because it was removed.
const REMOVED_SAID: &str = "the member has been permanently removed from the cluster";

struct Site {
    name: String,
    peer_url: String,
    id: u64,
    member: Member,
}

/// The members there are.
pub(super) struct Cluster {
    program: PathBuf,
    folder: PathBuf,
    sites: Vec<Site>,
    made: usize,
}

impl Cluster {
    /// Three fresh members that serve.
    pub(super) async fn start(programs: &Programs, folder: &Path) -> Result<Self> {
        let (program, folder) = (programs.engram.clone(), folder.to_owned());
        let mut cluster = Self { program, folder, sites: Vec::new(), made: 0 };
        let places = (0..3).map(|_| Place::draw(&mut cluster.made)).collect::<Result<Vec<_>>>()?;
        let founders = places.iter().map(Place::founder).collect::<Vec<_>>().join(",");
        for place in places {
            let mut site = place.site(&cluster, &founders, "new");
            site.member.start()?;
            cluster.sites.push(site);
        }
        for site in &mut cluster.sites {
            site.member.ready().await?;
            site.id = status(site.member.client_url()).await?.1;
        }
        Ok(cluster)
    }

    pub(super) fn size(&self) -> usize {
        self.sites.len()
    }

    /// The client URLs of all members.
    pub(super) fn urls(&self) -> Vec<String> {
        self.sites.iter().map(|site| site.member.client_url().to_owned()).collect()
    }

    /// Where the member that leads is.
    pub(super) async fn leader(&self) -> Result<usize> {
        let deadline = Instant::now() + RECOVERY_DEADLINE;
        loop {
            for (at, site) in self.sites.iter().enumerate() {
                if let Ok((leader, id)) = status(site.member.client_url()).await
                    && leader == id
                {
                    return Ok(at);
                }
            }
            ensure!(Instant::now() < deadline, "no member leads");
            crate::pause::pause(POLL).await;
        }
    }

    pub(super) async fn move_leader(&self, from: usize, to: usize) -> Result<()> {
        let request = pb::MoveLeaderRequest { target_id: self.sites[to].id };
        let mut client = MaintenanceClient::new(self.channel(from).await?);
        client.move_leader(request).await.context("move leader")?;
        Ok(())
    }

    /// Adds a fresh member, starts it, and waits until it votes and serves.
    pub(super) async fn add(&mut self, asked: usize, is_learner: bool) -> Result<()> {
        let place = Place::draw(&mut self.made)?;
        let request = pb::MemberAddRequest { peer_urls: vec![place.peer_url.clone()], is_learner };
        let mut client = ClusterClient::new(self.channel(asked).await?);
        let deadline = Instant::now() + RECOVERY_DEADLINE;
        let added = loop {
            match client.member_add(request.clone()).await {
                Ok(added) => break added.into_inner(),
                Err(status) => again_later(status, "add", deadline).await?,
            }
        };
        let id = added.member.context("an answer without the member")?.id;
        let sites = self.sites.iter().map(|site| format!("{}={}", site.name, site.peer_url));
        let mut all: Vec<String> = sites.collect();
        all.push(place.founder());
        let mut site = place.site(self, &all.join(","), "existing");
        site.id = id;
        site.member.start()?;
        if is_learner {
            let deadline = Instant::now() + RECOVERY_DEADLINE;
            while let Err(status) = client.member_promote(pb::MemberPromoteRequest { id }).await {
                again_later(status, "promote", deadline).await?;
            }
        }
        site.member.ready().await?;
        self.sites.push(site);
        Ok(())
    }

    /// Removes a running member, which must end by itself and say why.
    pub(super) async fn remove(&mut self, asked: usize, at: usize) -> Result<()> {
        self.ask_to_remove(asked, at).await?;
        let mut site = self.sites.remove(at);
        site.member.ended().await?;
        let said = site.member.tail();
        ensure!(said.contains(REMOVED_SAID), "a removed member ended with {said}");
        Ok(())
    }

    /// Removes a member that does not run.
    pub(super) async fn remove_dead(&mut self, asked: usize, at: usize) -> Result<()> {
        self.ask_to_remove(asked, at).await?;
        self.sites.remove(at);
        Ok(())
    }

    async fn ask_to_remove(&self, asked: usize, at: usize) -> Result<()> {
        let request = pb::MemberRemoveRequest { id: self.sites[at].id };
        let mut client = ClusterClient::new(self.channel(asked).await?);
        let deadline = Instant::now() + RECOVERY_DEADLINE;
        while let Err(status) = client.member_remove(request).await {
            again_later(status, "remove", deadline).await?;
        }
        Ok(())
    }

    pub(super) fn kill(&mut self, at: usize) -> Result<()> {
        self.sites[at].member.kill()
    }

    /// Starts a member that was there before, and waits until it serves.
    pub(super) async fn start_again(&mut self, at: usize) -> Result<()> {
        let member = &mut self.sites[at].member;
        member.start()?;
        member.ready().await
    }

    pub(super) async fn restart(&mut self, at: usize) -> Result<()> {
        self.sites[at].member.terminate().await?;
        self.start_again(at).await
    }

    /// How many snapshots a member said that it received.
    pub(super) fn snapshots_received(&self, at: usize) -> usize {
        let said = std::fs::read_to_string(self.sites[at].member.log()).unwrap_or_default();
        said.matches(SNAPSHOT_SAID).count()
    }

    /// Writes until the log does not reach back to now.
    pub(super) async fn write_much(&self, asked: usize) -> Result<()> {
        let now = self.gauge(asked, "engram_raft_last_log_index").await?;
        let mut kv = KvClient::new(self.channel(asked).await?);
        let value = Bytes::from(vec![b'x'; MUCH_BYTES]);
        let mut revision = 0;
        for _ in 0..MUCH_WRITES {
            let put =
                pb::PutRequest { key: "much".into(), value: value.clone(), ..Default::default() };
            let answer = kv.put(put).await.context("a large put")?.into_inner();
            revision = answer.header.context("an answer without a header")?.revision;
        }
        ensure!(revision > 0, "nothing was written");
        pause::until("the log is cut", CUT_DEADLINE, async || {
            match self.gauge(asked, "engram_raft_cut_index").await {
                Ok(cut) if cut > now => Ok(()),
                other => Err(format!("{other:?}, and {now} was the last entry")),
            }
        })
        .await
    }

    /// A figure of a member's `/metrics`.
    async fn gauge(&self, asked: usize, name: &str) -> Result<u64> {
        let url = self.sites[asked].member.client_url();
        let page = http::ask(url, "GET", "/metrics", "", &[]).await?.body;
        let mut lines = page.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(named, _)| *named == name).context("a figure that is told")?;
        Ok(found.1.parse()?)
    }

    /// What the member list says that is not so: on every member, the same, as it should be.
    pub(super) async fn unlisted(&self) -> Result<Vec<String>> {
        let mut expected: Vec<_> =
            self.sites.iter().map(|site| (site.id, site.name.clone(), false)).collect();
        expected.sort_unstable();
        let mut findings = Vec::new();
        for at in 0..self.sites.len() {
            let mut client = ClusterClient::new(self.channel(at).await?);
            let request = pb::MemberListRequest { linearizable: true };
            let listed = client.member_list(request).await?.into_inner().members;
            let listed =
                listed.into_iter().map(|member| (member.id, member.name, member.is_learner));
            let mut listed: Vec<_> = listed.collect();
            listed.sort_unstable();
            if listed != expected {
                findings.push(format!("members are {listed:?} instead of {expected:?}"));
            }
        }
        Ok(findings)
    }

    async fn channel(&self, at: usize) -> Result<Channel> {
        process::dial(self.sites[at].member.client_url()).await
    }
}

/// Where a fresh member will be.
struct Place {
    name: String,
    client_url: String,
    peer_url: String,
}

impl Place {
    fn draw(made: &mut usize) -> Result<Self> {
        let ports = process::free_ports(2)?;
        let name = format!("m{made}");
        *made += 1;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        Ok(Self { name, client_url: url(ports[0]), peer_url: url(ports[1]) })
    }

    fn founder(&self) -> String {
        format!("{}={}", self.name, self.peer_url)
    }

    fn site(self, cluster: &Cluster, initial_cluster: &str, state: &str) -> Site {
        let Self { name, client_url, peer_url } = self;
        let arguments = vec![
            "server".to_owned(),
            format!("--name={name}"),
            format!("--data-dir={}", cluster.folder.join(&name).display()),
            format!("--listen-client-urls={client_url}"),
            format!("--advertise-client-urls={client_url}"),
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster={initial_cluster}"),
            format!("--initial-cluster-state={state}"),
            "--initial-cluster-token=drills".to_owned(),
            format!("--snapshot-count={KEPT_ENTRIES}"),
        ];
        let log = cluster.folder.join(format!("{name}.log"));
        let member = Member::new(cluster.program.clone(), arguments, log, client_url);
        Site { name, peer_url, id: 0, member }
    }
}

/// Waits a moment when a later try may succeed.
///
/// *Errors*: the status, when it is final or the deadline has passed.
async fn again_later(status: Status, what: &str, deadline: Instant) -> Result<()> {
    let not_ready = "can only promote a learner member which is in sync with leader";
    let passes = match status.code() {
        // The outcome is not known after these: a second try would meet the first one's work.
        Code::Unavailable => !status.message().contains("timed out"),
        Code::FailedPrecondition => status.message().ends_with(not_ready),
        _ => false,
    };
    if !passes || Instant::now() > deadline {
        bail!("{what}: {status}");
    }
    crate::pause::pause(POLL).await;
    Ok(())
}

/// The leader and the member's own id.
async fn status(url: &str) -> Result<(u64, u64)> {
    let mut client = MaintenanceClient::new(process::dial(url).await?);
    let status = client.status(pb::StatusRequest {}).await?.into_inner();
    let own = status.header.context("a status without a header")?.member_id;
    Ok((status.leader, own))
}
