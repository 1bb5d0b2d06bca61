//! The whole state at one moment: what a batch is applied to, and what readers hold.
//!
//! Invariants: compacted <= revision; finished <= compacted; every row the index names is in the
//! engine, or among the rows of the batch being applied, unless a newer root has compacted it. A
//! clone is cheap, and a published root never changes.

use std::sync::Arc;

use bytes::Bytes;
use proto::etcdserverpb::AlarmMember;
use proto::log::MemberAttributes;
use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::auth::AuthState;
use crate::engine::Engine;
use crate::index::KeyIndex;
use crate::leases::Leases;
use crate::limits::STATE_MACHINE_VERSION;
use crate::records::StateRecord;
use crate::types::{Digest, LogId, MemberId};

/// The revision of a store that holds nothing. Source: etcd.
const FIRST_REVISION: i64 = 1;
/// What is compacted in a store that was never compacted. Source: etcd's `HashKV` answers this
/// number.
const NEVER_COMPACTED: i64 = -1;

/// The last applied membership, as the raft room encoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredMembership {
    /// The entry that brought it; `None` for one that was there before any entry.
    pub log_id: Option<LogId>,
    /// Opaque here.
    pub bytes: Bytes,
}

/// How far the log is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedState {
    /// The last applied entry.
    pub log_id: Option<LogId>,
    /// The last applied membership.
    pub membership: Option<StoredMembership>,
    /// The state digest after the last applied entry.
    pub digest: Digest,
}

/// See the module's page.
#[derive(Clone)]
pub(crate) struct Root {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) index: KeyIndex,
    pub(crate) leases: Leases,
    pub(crate) alarms: RedBlackTreeSetSync<(MemberId, i32)>,
    pub(crate) members: RedBlackTreeMapSync<MemberId, MemberAttributes>,
    pub(crate) membership: Option<StoredMembership>,
    pub(crate) removed: RedBlackTreeSetSync<MemberId>,
    pub(crate) downgrade_target: Option<String>,
    pub(crate) applied: Option<LogId>,
    pub(crate) digest: Digest,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) finished: i64,
    pub(crate) state_machine_version: u32,
    pub(crate) auth: AuthState,
}

impl Root {
    /// A fresh store: revision 1, empty.
    pub(crate) fn empty(engine: Arc<dyn Engine>) -> Self {
        Self {
            engine,
            index: KeyIndex::new(),
            leases: Leases::default(),
            alarms: RedBlackTreeSetSync::new_sync(),
            members: RedBlackTreeMapSync::new_sync(),
            membership: None,
            removed: RedBlackTreeSetSync::new_sync(),
            downgrade_target: None,
            applied: None,
            digest: Digest::default(),
            revision: FIRST_REVISION,
            compacted: NEVER_COMPACTED,
            finished: NEVER_COMPACTED,
            state_machine_version: STATE_MACHINE_VERSION,
            auth: AuthState::default(),
        }
    }

    /// Takes over what the state row says.
    pub(crate) fn adopt(&mut self, record: &StateRecord) {
        self.applied = record.applied();
        self.digest = Digest(record.digest);
        self.revision = record.revision;
        self.compacted = record.compacted;
        self.state_machine_version = record.state_machine_version;
        self.auth.enabled = record.auth_enabled;
        self.auth.revision = record.auth_revision;
    }

    /// The state row.
    pub(crate) fn record(&self) -> StateRecord {
        let applied = self.applied.unwrap_or_default();
        StateRecord {
            term: applied.term,
            index: applied.index,
            digest: self.digest.0,
            revision: self.revision,
            compacted: self.compacted,
            state_machine_version: self.state_machine_version,
            auth_enabled: self.auth.enabled,
            auth_revision: self.auth.revision,
        }
    }

    /// What the raft room asks for after a restart.
    pub(crate) fn applied_state(&self) -> AppliedState {
        AppliedState {
            log_id: self.applied,
            membership: self.membership.clone(),
            digest: self.digest,
        }
    }

    /// The active alarms of one kind, or of all kinds for 0 (`NONE`), by member.
    pub(crate) fn alarms_of(&self, kind: i32) -> Vec<AlarmMember> {
        let wanted = |alarm: &&(MemberId, i32)| kind == 0 || alarm.1 == kind;
        self.alarms.iter().filter(wanted).map(alarm_member).collect()
    }

    /// Whether an alarm of this kind is active for any member.
    pub(crate) fn has_alarm(&self, kind: i32) -> bool {
        self.alarms.iter().any(|alarm| alarm.1 == kind)
    }
}

fn alarm_member((member, alarm): &(MemberId, i32)) -> AlarmMember {
    AlarmMember { member_id: member.0, alarm: *alarm }
}
