//! `member replace`: a new member for an old one, without a moment in which the quorum hangs on
//! something unproven.
//!
//! Order: learner, wait, promote, move leadership off the old one, remove it. Where the server
//! refuses to add anybody beside a dead member, as etcd does, the dead one goes first: as many
//! members as before must then stay well, no more. Invariants: before
//! each step the healthy voters are counted, and a step after which they could be fewer than a
//! majority is refused; all progress is in the member list itself, so the same command continues
//! what was interrupted and `--rollback` undoes it.

use std::time::{Duration, Instant};

use clap::Args;
use futures::future::join_all;
use proto::etcdserverpb as pb;
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::Code;

use super::super::endpoint::status_of;
use super::super::global::Global;
use super::super::observe;
use super::super::show::figures::parse_duration;
use super::super::show::{answers, notice};
use super::{initial_cluster, table};
use crate::ToolError;
use crate::catalogue::Id;

/// Time between two looks at the new member.
const POLL: Duration = Duration::from_millis(500);

/// Options of `member replace`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Replace {
    /// The member to go, by its id in hexadecimal or its name.
    old: String,
    /// The new member's name.
    #[arg(long)]
    name: String,
    /// The new member's peer URLs, separated by commas.
    #[arg(long, required = true, value_delimiter = ',')]
    peer_urls: Vec<String>,
    /// The new member's client URLs, for the command printed [default: its peer host, port 2379].
    #[arg(long, value_delimiter = ',')]
    client_urls: Vec<String>,
    /// How long to wait for the new member to be in sync.
    #[arg(long, default_value = "10m", value_parser = parse_duration)]
    timeout: Duration,
    /// Take the new member away again, as long as it is a learner.
    #[arg(long)]
    rollback: bool,
}

/// How many voters there are and which of them answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Margin {
    voters: usize,
    healthy: usize,
}

/// The members of a majority.
pub(crate) fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

impl Margin {
    /// Whether a new healthy voter may be added and `old` be removed behind it.
    ///
    /// *Errors*: `QuorumAtRisk` with the figures.
    fn allows(self, old_is_healthy: bool) -> Result<(), ToolError> {
        let Self { voters, healthy } = self;
        let risk = |what: String| Err(ToolError::of(Id::QuorumAtRisk, what));
        if healthy < quorum(voters) {
            return risk(format!(
                "{healthy} of {voters} voting members answer and know a leader, {} are needed",
                quorum(voters)
            ));
        }
        // Between promotion and removal there is one voter more.
        if healthy + 1 < quorum(voters + 1) {
            return risk(format!(
                "after the promotion {} of {} voting members would answer, {} are needed",
                healthy + 1,
                voters + 1,
                quorum(voters + 1)
            ));
        }
        let left = healthy + 1 - usize::from(old_is_healthy);
        if left < quorum(voters) {
            return risk(format!(
                "after the removal {left} of {voters} voting members would answer, {} are needed",
                quorum(voters)
            ));
        }
        Ok(())
    }
}

struct Drill<'a> {
    global: Global,
    replace: &'a Replace,
    deadline: Instant,
}

pub(super) async fn run(global: &Global, replace: Replace) -> Result<(), ToolError> {
    let mut drill = Drill {
        global: global.clone(),
        replace: &replace,
        deadline: Instant::now() + replace.timeout,
    };
    let members = drill.members().await?;
    let old = find(&members, &replace.old)?;
    let new = members.iter().find(|member| same_urls(&member.peer_urls, &replace.peer_urls));
    if replace.rollback {
        return drill.roll_back(new).await;
    }
    let Some(old) = old else {
        let Some(new) = new.cloned() else { return Err(nobody(&replace)) };
        notice("the old member is gone already");
        drill.bring_in(&new).await?;
        return drill.finish().await;
    };
    if new.is_some_and(|new| new.id == old.id) {
        let text = "the new member has the old one's peer URLs: give it other ones";
        return Err(ToolError::Usage(text.to_owned()));
    }
    let old = old.clone();
    let (new, old_is_gone) = match new {
        Some(new) => {
            notice(format!("going on: {:x} was added before", new.id));
            (new.clone(), false)
        }
        None => drill.add(&members, &old).await?,
    };
    drill.bring_in(&new).await?;
    if !old_is_gone {
        drill.remove(&old, new.id).await?;
    }
    drill.finish().await
}

fn nobody(replace: &Replace) -> ToolError {
    let Replace { old, name, peer_urls, .. } = replace;
    let text = format!(
        "no member has the id or name {old:?}; if it was removed already, go on with `engram ctl \
         member add {name} --learner --peer-urls {}` and run this again",
        peer_urls.join(",")
    );
    ToolError::of(Id::MemberNotFound, text)
}

fn find<'a>(members: &'a [pb::Member], wanted: &str) -> Result<Option<&'a pb::Member>, ToolError> {
    let by_id = u64::from_str_radix(wanted, 16).ok();
    let by_id = members.iter().find(|member| Some(member.id) == by_id);
    let named: Vec<_> = members.iter().filter(|member| member.name == wanted).collect();
    match (by_id, named.as_slice()) {
        (Some(member), _) => Ok(Some(member)),
        (None, []) => Ok(None),
        (None, [member]) => Ok(Some(member)),
        (None, many) => {
            let text = format!("{} members are named {wanted:?}: give the id", many.len());
            Err(ToolError::Usage(text))
        }
    }
}

fn same_urls(one: &[String], other: &[String]) -> bool {
    let sorted = |urls: &[String]| {
        let mut urls: Vec<_> =
            urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        urls.sort();
        urls
    };
    sorted(one) == sorted(other)
}

impl Drill<'_> {
    /// The members now; their endpoints are remembered, for the one given may be the old one.
    async fn members(&mut self) -> Result<Vec<pb::Member>, ToolError> {
        // Without a quorum a member's own list must do: it is what the refusal is reckoned from.
        let members = observe::list(&self.global).await?;
        for url in members.iter().flat_map(|member| &member.client_urls) {
            if !self.global.endpoints.contains(url) {
                self.global.endpoints.push(url.clone());
            }
        }
        Ok(members)
    }

    async fn client(&self) -> Result<ClusterClient<crate::wire::Wire>, ToolError> {
        Ok(ClusterClient::new(self.global.channel().await?))
    }

    /// Counts the voters that answer and know a leader.
    async fn healthy(&self, members: &[pb::Member]) -> (Margin, Vec<u64>) {
        let voters: Vec<_> = members.iter().filter(|member| !member.is_learner).collect();
        let global = &self.global;
        let asked = join_all(voters.iter().map(|member| async move {
            for url in &member.client_urls {
                if status_of(global, url).await.is_ok_and(|status| status.leader != 0) {
                    return Some(member.id);
                }
            }
            None
        }))
        .await;
        let well: Vec<u64> = asked.into_iter().flatten().collect();
        (Margin { voters: voters.len(), healthy: well.len() }, well)
    }

    /// Adds the learner; says too whether the old member had to go before.
    async fn add(
        &mut self,
        members: &[pb::Member],
        old: &pb::Member,
    ) -> Result<(pb::Member, bool), ToolError> {
        let (margin, well) = self.healthy(members).await;
        let old_is_well = well.contains(&old.id);
        // A learner that goes does not count in any majority.
        if !old.is_learner {
            margin.allows(old_is_well)?;
        }
        let Margin { voters, healthy } = margin;
        notice(format!(
            "{healthy} of {voters} voting members answer and know a leader, quorum {}",
            quorum(voters)
        ));
        let mut old_is_gone = false;
        loop {
            let request = pb::MemberAddRequest {
                peer_urls: self.replace.peer_urls.clone(),
                is_learner: true,
            };
            match self.client().await?.member_add(request).await {
                Ok(answer) => {
                    let added = answer.into_inner().member.unwrap_or_default();
                    notice(format!("added {:x} as a learner: it does not vote yet", added.id));
                    return Ok((added, old_is_gone));
                }
                Err(status) if is_passing(&status) && !old_is_well && !old_is_gone => {
                    notice(format!("the old member is down, and so {}", status.message()));
                    self.remove(old, 0).await?;
                    old_is_gone = true;
                }
                // etcd wants five seconds in which all members were connected.
                Err(status) if is_passing(&status) => {}
                Err(status) => return Err(status.into()),
            }
            self.pause("no learner could be added".to_owned()).await?;
        }
    }

    /// Makes the new member a voter, if it is none yet.
    async fn bring_in(&mut self, new: &pb::Member) -> Result<(), ToolError> {
        if !new.is_learner {
            return Ok(());
        }
        self.tell_how_to_start(new.id).await?;
        self.promote_when_in_sync(new.id).await?;
        notice(format!("promoted {:x}: it votes now", new.id));
        Ok(())
    }

    async fn tell_how_to_start(&mut self, id: u64) -> Result<(), ToolError> {
        let members = self.members().await?;
        if members.iter().any(|member| member.id == id && !member.name.is_empty()) {
            return Ok(());
        }
        let Replace { name, peer_urls, client_urls, .. } = self.replace;
        let peers = peer_urls.join(",");
        let clients =
            if client_urls.is_empty() { client_url_of(peer_urls) } else { client_urls.join(",") };
        notice(format!(
            "start it on its host (or `etcd` with the same flags):\n\n  engram server --name {name} \
             --data-dir {name}.engram \\\n    --listen-peer-urls {peers} \
             --initial-advertise-peer-urls {peers} \\\n    --listen-client-urls {clients} \
             --advertise-client-urls {clients} \\\n    --initial-cluster-state existing \\\n    \
             --initial-cluster {}\n",
            initial_cluster(&members, id, name)
        ));
        Ok(())
    }

    async fn promote_when_in_sync(&mut self, id: u64) -> Result<(), ToolError> {
        let mut said = String::new();
        loop {
            let progress = self.progress(id).await;
            if progress != said {
                notice(format!("  {progress}"));
                said = progress;
            }
            let request = pb::MemberPromoteRequest { id };
            match self.client().await?.member_promote(request).await {
                Ok(_) => return Ok(()),
                Err(status)
                    if status.message().contains("only promote a learner member which is in")
                        || is_passing(&status) => {}
                // Somebody else promoted it, or our own promotion's answer was lost.
                Err(status) if status.message().ends_with("can only promote a learner member") => {
                    return Ok(());
                }
                Err(status) => return Err(status.into()),
            }
            self.pause(format!("{id:x} is not in sync after {:?}", self.replace.timeout)).await?;
        }
    }

    /// How far the new member is, in words.
    async fn progress(&self, id: u64) -> String {
        let Ok(members) = self.global.members().await else { return "no leader".to_owned() };
        let Some(new) = members.iter().find(|member| member.id == id) else {
            return "it is no member any more".to_owned();
        };
        let Some(url) = new.client_urls.first() else { return "waiting for its start".to_owned() };
        let Ok(status) = status_of(&self.global, url).await else {
            return format!("started, but {url} does not answer here");
        };
        let others = members.iter().filter(|member| member.id != id);
        let urls: Vec<_> = others.flat_map(|member| &member.client_urls).collect();
        let asked = join_all(urls.iter().map(|url| status_of(&self.global, url))).await;
        let newest = asked.into_iter().flatten().map(|status| status.raft_index).max().unwrap_or(0);
        let percent = (status.raft_applied_index * 100).checked_div(newest).unwrap_or(0).min(100);
        format!("in sync {percent} %")
    }

    async fn pause(&self, what: String) -> Result<(), ToolError> {
        if Instant::now() >= self.deadline {
            return Err(ToolError::of(Id::ReplaceStopped, what));
        }
        tokio::time::sleep(POLL).await;
        Ok(())
    }

    async fn remove(&mut self, old: &pb::Member, new: u64) -> Result<(), ToolError> {
        let members = self.members().await?;
        let (margin, well) = self.healthy(&members).await;
        let left = margin.healthy - usize::from(well.contains(&old.id));
        if !old.is_learner && left < quorum(margin.voters - 1) {
            return Err(ToolError::of(
                Id::QuorumAtRisk,
                format!(
                    "after the removal of {:x} only {left} of {} voting members would answer, {} \
                     are needed; run this again when they are back",
                    old.id,
                    margin.voters - 1,
                    quorum(margin.voters - 1)
                ),
            ));
        }
        self.move_leadership_off(old, new).await;
        let gone: Vec<_> = old.client_urls.clone();
        self.global.endpoints.retain(|endpoint| !is_of(endpoint, &gone));
        loop {
            let request = pb::MemberRemoveRequest { id: old.id };
            match self.client().await?.member_remove(request).await {
                Ok(_) => break,
                Err(status) if status.message().contains("member not found") => break,
                Err(status) if is_passing(&status) => {}
                Err(status) => return Err(status.into()),
            }
            self.pause(format!("{:x} could not be removed", old.id)).await?;
        }
        notice(format!("removed {:x}: stop it and delete its data folder", old.id));
        Ok(())
    }

    /// A removed leader would leave an election behind; a refusal here costs only that.
    async fn move_leadership_off(&self, old: &pb::Member, new: u64) {
        for url in &old.client_urls {
            let Ok(status) = status_of(&self.global, url).await else { continue };
            if status.leader != old.id {
                return;
            }
            let Ok(wire) = self.global.channel_to(url).await else { continue };
            let request = pb::MoveLeaderRequest { target_id: new };
            match MaintenanceClient::new(wire).move_leader(request).await {
                Ok(_) => notice(format!("moved leadership to {new:x}")),
                Err(status) => notice(format!("leadership stays: {}", status.message())),
            }
            return;
        }
    }

    async fn roll_back(&self, new: Option<&pb::Member>) -> Result<(), ToolError> {
        match new {
            None => notice("nothing to take back: no member has these peer URLs"),
            Some(new) if !new.is_learner => {
                let text = format!(
                    "{:x} votes already: finish with the same command without --rollback, or \
                     remove it with `engram ctl member remove {:x}`",
                    new.id, new.id
                );
                return Err(ToolError::Usage(text));
            }
            Some(new) => {
                let request = pb::MemberRemoveRequest { id: new.id };
                self.client().await?.member_remove(request).await?;
                notice(format!("removed the learner {:x}", new.id));
            }
        }
        self.finish().await
    }

    async fn finish(&self) -> Result<(), ToolError> {
        let members = self.global.members().await?;
        let output = &self.global.output;
        output.show(
            || answers::members(None, None, &members, output.hex),
            || members.iter().map(|member| super::line(member) + "\n").collect::<String>().into(),
            || table(&members),
        )
    }
}

/// What passes by itself: no leader, a check that wants five quiet seconds.
fn is_passing(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
}

fn is_of(endpoint: &str, urls: &[String]) -> bool {
    let bare = |text: &str| {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        text.trim_end_matches('/').to_owned()
    };
    urls.iter().any(|url| bare(url) == bare(endpoint))
}

/// The client port of etcd at the host of the first peer URL.
fn client_url_of(peer_urls: &[String]) -> String {
    let first = peer_urls.first().map(String::as_str).unwrap_or_default();
    let authority = first.rsplit_once(':').map_or(first, |(host, _)| host);
    format!("{authority}:2379")
}

#[cfg(test)]
mod tests {
    use super::{Margin, client_url_of, find, is_of, quorum, same_urls};
    use proto::etcdserverpb::Member;

    #[test]
    fn a_step_that_could_lose_the_quorum_is_refused() {
        let allows = |voters, healthy, old_is_healthy| {
            Margin { voters, healthy }.allows(old_is_healthy).is_ok()
        };
        assert!(allows(1, 1, true), "one member is replaced by another");
        assert!(allows(3, 3, true));
        assert!(allows(3, 2, false), "a dead member of three is what this is for");
        assert!(allows(3, 2, true), "as many are left as were");
        assert!(!allows(3, 1, false) && !allows(3, 1, true), "there is no quorum");
        assert!(!allows(2, 1, false), "one of two is none");
        assert!(allows(5, 3, false), "no margin is left, but a majority is");
        assert!(!allows(4, 2, false));
        assert_eq!([1, 2, 3, 4, 5].map(quorum), [1, 2, 2, 3, 3]);
    }

    #[test]
    fn the_old_member_is_found_by_id_or_name() {
        let member = |id, name: &str| Member { id, name: name.into(), ..Default::default() };
        let members = [member(0xa1, "one"), member(0xb2, "two"), member(0xc3, "two")];
        assert_eq!(find(&members, "a1").expect("found").map(|found| found.id), Some(0xa1));
        assert_eq!(find(&members, "one").expect("found").map(|found| found.id), Some(0xa1));
        assert!(find(&members, "two").is_err(), "two of that name");
        assert!(find(&members, "three").expect("none").is_none());
    }

    #[test]
    fn urls_are_compared_as_what_they_mean() {
        assert!(same_urls(
            &["http://a:1/".into(), "http://b:1".into()],
            &["http://b:1".into(), "http://a:1".into()]
        ));
        assert!(is_of("127.0.0.1:2379", &["http://127.0.0.1:2379".into()]));
        assert_eq!(client_url_of(&["https://10.0.0.4:2380".into()]), "https://10.0.0.4:2379");
    }
}
