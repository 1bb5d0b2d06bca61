//! What a member must be told to start, and the choices derived from it.
//!
//! Invariant: every member of a cluster derives the same ids and the same first membership from the
//! same initial cluster.
//! Must not know: flags, files of configuration, the environment.

use std::collections::BTreeMap;
use std::time::Duration;

use store::MemberId;

use crate::errors::StartError;
use crate::identity::{self, ClusterId};
use crate::log::LogLimits;
use crate::types::PeerNode;

/// A voter of the initial cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialMember {
    /// Its name; unique in the initial cluster.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
}

/// How a member without data begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bootstrap {
    /// It founds the cluster together with the other initial members.
    New,
    /// It was added to a cluster that runs already.
    Existing,
}

/// Raft's clock, in etcd's two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Interval of the leader's heartbeats, in milliseconds (etcd: 100).
    pub heartbeat_ms: u64,
    /// How long a follower waits for the leader before it seeks election, in milliseconds (etcd:
    /// 1000).
    pub election_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { heartbeat_ms: 100, election_ms: 1000 }
    }
}

impl Timing {
    /// The shortest wait of a follower after a leader's lease, in milliseconds.
    ///
    /// openraft adds the drawn wait to the lease, which is the longest wait: a dead leader is
    /// replaced after 1.1 to 1.4 election timeouts, where etcd takes one to two.
    pub(crate) fn election_wait_min_ms(self) -> u64 {
        (self.election_ms * 2 / 5).max(self.heartbeat_ms + 1)
    }

    /// The longest such wait, which is also the leader's lease, in milliseconds.
    pub(crate) fn election_wait_max_ms(self) -> u64 {
        (self.election_ms * 7 / 10).max(self.election_wait_min_ms() + 1)
    }

    /// How long a proposal or a read may take before its outcome is unknown.
    ///
    /// *Source*: etcd, five seconds for queues and disks plus two election timeouts.
    pub fn request_timeout(self) -> Duration {
        Duration::from_secs(5) + 2 * Duration::from_millis(self.election_ms)
    }

    /// How long a quorum's acknowledgement proves leadership.
    pub fn lease(self) -> Duration {
        Duration::from_millis(self.election_wait_max_ms())
    }

    /// How long a follower believes in a leader it does not hear.
    pub fn patience(self) -> Duration {
        2 * self.lease()
    }
}

/// When state is flushed and the log is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// State is flushed when this many bytes of entries were applied since the last flush.
    pub flush_bytes: u64,
    /// State is flushed when entries were applied and this much time has passed since the last
    /// flush.
    pub flush_interval: Duration,
    /// Entries kept below the flushed state for followers that lag, in number.
    pub keep_entries: u64,
    /// Log kept for followers that lag, and while a snapshot is sent, in bytes.
    pub keep_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            flush_bytes: 64 << 20,
            flush_interval: Duration::from_secs(30),
            keep_entries: 10_000,
            keep_bytes: 256 << 20,
        }
    }
}

/// What a leader asks of a change of the members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipRules {
    /// A change is refused while the voters that are in reach would not be enough to decide.
    pub strict: bool,
    /// How many learners there may be.
    pub learners_max: usize,
}

impl Default for MembershipRules {
    fn default() -> Self {
        Self { strict: true, learners_max: 1 }
    }
}

/// What one member must know to start.
#[derive(Clone, Debug)]
pub struct MemberConfig {
    /// Name of this member; found in `initial_cluster`.
    pub name: String,
    /// Token that keeps clusters with equal URLs apart.
    pub cluster_token: String,
    /// All initial members, this one among them.
    pub initial_cluster: Vec<InitialMember>,
    /// How to begin when there is no data.
    pub bootstrap: Bootstrap,
    /// What this member, when it leads, asks of a change of the members.
    pub rules: MembershipRules,
    /// Whether a member with data forgets all others and goes on alone, for when the quorum is
    /// lost for ever. Its log is kept whole: what was never committed may take effect.
    pub force_new_cluster: bool,
    /// Raft's clock.
    pub timing: Timing,
    /// When state is flushed and the log is cut.
    pub retention: Retention,
    /// Sizes of the log.
    pub log_limits: LogLimits,
    /// How long a new member asks its peers whether they know it (etcd: 1 s).
    pub bootstrap_timeout: Duration,
    /// Where all randomness of this member comes from: drawn from the system in production, from
    /// the run's seed in a simulation. Two starts of one member must not share it.
    pub seed: u64,
}

impl MemberConfig {
    /// This member's entry in the initial cluster.
    ///
    /// *Errors*: [`StartError::Config`] when the list is empty, names a member twice, or lacks this
    /// one.
    pub fn this_member(&self) -> Result<&InitialMember, StartError> {
        let mut found = None;
        for (position, member) in self.initial_cluster.iter().enumerate() {
            if self.initial_cluster[..position].iter().any(|other| other.name == member.name) {
                let text = format!("member {:?} is twice in the initial cluster", member.name);
                return Err(StartError::Config(text));
            }
            if member.peer_urls.is_empty() {
                let text = format!("member {:?} has no peer URL", member.name);
                return Err(StartError::Config(text));
            }
            if member.name == self.name {
                found = Some(member);
            }
        }
        let text = format!("couldn't find local name {:?} in the initial cluster", self.name);
        found.ok_or(StartError::Config(text))
    }

    /// The ids that follow from the initial cluster, by etcd's static rule.
    ///
    /// *Errors*: as [`MemberConfig::this_member`].
    pub fn static_ids(&self) -> Result<(ClusterId, MemberId), StartError> {
        let this = self.this_member()?;
        let member_id = identity::static_member_id(&this.peer_urls, &self.cluster_token);
        Ok((self.static_cluster_id(), member_id))
    }

    /// Id and peer URLs of every initial member: the voters of the first entry of the log.
    pub fn initial_nodes(&self) -> BTreeMap<u64, PeerNode> {
        let nodes = self.initial_cluster.iter().map(|member| {
            let id = identity::static_member_id(&member.peer_urls, &self.cluster_token);
            (id.0, PeerNode { peer_urls: member.peer_urls.clone() })
        });
        nodes.collect()
    }

    fn static_cluster_id(&self) -> ClusterId {
        identity::cluster_id(self.initial_nodes().into_keys().map(MemberId))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(names: &[&str]) -> MemberConfig {
        let member = |name: &&str| InitialMember {
            name: (*name).to_owned(),
            peer_urls: vec![format!("http://{name}:2380")],
        };
        MemberConfig {
            name: "a".into(),
            cluster_token: "token".into(),
            initial_cluster: names.iter().map(member).collect(),
            bootstrap: Bootstrap::New,
            rules: MembershipRules::default(),
            force_new_cluster: false,
            timing: Timing::default(),
            retention: Retention::default(),
            log_limits: LogLimits::default(),
            bootstrap_timeout: Duration::from_secs(1),
            seed: 1,
        }
    }

    #[test]
    fn every_initial_member_derives_the_same_cluster() {
        let first = config(&["a", "b", "c"]);
        let mut second = config(&["c", "a", "b"]);
        second.name = "b".into();
        let (one, two) = (first.static_ids(), second.static_ids());
        let (one, two) = (one.expect("valid"), two.expect("valid"));
        assert_eq!(one.0, two.0);
        assert_ne!(one.1, two.1);
        assert_eq!(first.initial_nodes(), second.initial_nodes());
    }

    #[test]
    fn contradicting_initial_clusters_are_refused() {
        assert!(config(&["b", "c"]).static_ids().is_err());
        assert!(config(&["a", "b", "b"]).static_ids().is_err());
        assert!(config(&[]).static_ids().is_err());
    }

    #[test]
    fn request_timeout_is_etcds() {
        assert_eq!(Timing::default().request_timeout(), Duration::from_secs(7));
    }
}
