//! A member that begins with a state instead of a log: what its data directory must say.
//!
//! Invariant: members that are restored with the same initial cluster agree on its id, on their own
//! ids and on the first membership, as those that found a cluster do. Its entry counts as applied
//! and given up, so that a member that is added later is sent the state, never an empty log.
//! Must not know: where the state comes from.

use std::collections::BTreeSet;

use bytes::Bytes;
use store::{LogId, MemberId};

use crate::config::{InitialMember, MemberConfig};
use crate::errors::StartError;
use crate::identity::{ClusterId, IDENTITY_FILE, Identity};
use crate::log::{LogFiles, LogLimits};
use crate::membership::encode_membership;
use crate::start::new_mark;
use crate::types::Membership;
use crate::{Bootstrap, MembershipRules, Retention, Timing};

/// The entry that founds a cluster: every founding member writes the same one.
const FOUNDING: LogId = LogId { term: 0, index: 1 };

/// What the state of a restored member begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The cluster's id.
    pub cluster_id: ClusterId,
    /// The member's id.
    pub member_id: MemberId,
    /// The entry that counts as applied.
    pub applied: LogId,
    /// The membership that it brought, as the state stores it.
    pub membership: Bytes,
}

/// Who is restored, and into which cluster.
#[derive(Clone, Debug)]
pub struct RestorePlan {
    /// Name of this member; found in `initial_cluster`.
    pub name: String,
    /// Token that keeps clusters with equal URLs apart.
    pub cluster_token: String,
    /// All initial members, this one among them.
    pub initial_cluster: Vec<InitialMember>,
    /// Drawn from the system: marks the data directory.
    pub seed: u64,
}

/// Works out the ids and the first membership.
///
/// *Errors*: [`StartError::Config`], as a member that founds a cluster would refuse it.
pub fn restored(plan: &RestorePlan) -> Result<Restored, StartError> {
    let config = MemberConfig {
        name: plan.name.clone(),
        cluster_token: plan.cluster_token.clone(),
        initial_cluster: plan.initial_cluster.clone(),
        bootstrap: Bootstrap::New,
        rules: MembershipRules::default(),
        force_new_cluster: false,
        timing: Timing::default(),
        retention: Retention::default(),
        log_limits: LogLimits::default(),
        bootstrap_timeout: std::time::Duration::ZERO,
        seed: plan.seed,
    };
    let (cluster_id, member_id) = config.static_ids()?;
    let nodes = config.initial_nodes();
    let voters: BTreeSet<u64> = nodes.keys().copied().collect();
    let membership = Membership::new(vec![voters], nodes)
        .map_err(|error| StartError::Config(error.to_string()))?;
    let membership = encode_membership(&membership);
    Ok(Restored { cluster_id, member_id, applied: FOUNDING, membership })
}

/// Binds a fresh log directory to a restored member. Comes last: with it the member can start.
///
/// *Errors*: the directory belongs to a member already. *Durability*: on return.
pub fn bind_restored(
    files: &dyn LogFiles,
    restored: &Restored,
    seed: u64,
) -> Result<(), StartError> {
    if files.read_file(IDENTITY_FILE)?.is_some() {
        let text = format!("{} belongs to a member already", files.describe());
        return Err(StartError::Identity(text));
    }
    let identity = Identity {
        cluster_id: restored.cluster_id,
        member_id: restored.member_id,
        data_mark: new_mark(seed, restored.member_id),
    };
    Ok(files.write_file(IDENTITY_FILE, &identity.encode())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::MemoryLogFiles;

    fn plan(name: &str) -> RestorePlan {
        let member = |name: &str| InitialMember {
            name: name.to_owned(),
            peer_urls: vec![format!("http://{name}:2380")],
        };
        RestorePlan {
            name: name.to_owned(),
            cluster_token: "token".to_owned(),
            initial_cluster: ["a", "b"].map(member).into(),
            seed: 1,
        }
    }

    #[test]
    fn members_restored_alike_agree_on_the_cluster() {
        let (a, b) = (restored(&plan("a")), restored(&plan("b")));
        let (a, b) = (a.expect("valid"), b.expect("valid"));
        assert_eq!((a.cluster_id, &a.membership), (b.cluster_id, &b.membership));
        assert_ne!(a.member_id, b.member_id);
        assert!(restored(&plan("c")).is_err(), "c is not in the initial cluster");
    }

    #[test]
    fn a_directory_is_bound_once() {
        let files = MemoryLogFiles::new();
        let restored = restored(&plan("a")).expect("valid");
        bind_restored(&files, &restored, 1).expect("fresh");
        assert!(bind_restored(&files, &restored, 2).is_err());
    }
}
