//! Alarms, compaction, and what members say of themselves.

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::alarm_request::AlarmAction;
use proto::etcdserverpb::{AlarmMember, AlarmRequest, AlarmResponse, AlarmType, CompactionRequest};
use proto::log::{Downgrade, MemberAttributes};
use proto::status::EtcdError;

use super::{Applying, Refusal};
use crate::codec;
use crate::engine::Space;
use crate::layout::{alarm_name, member_name};
use crate::outcome::Response;
use crate::range;
use crate::records::{DOWNGRADE_NAME, REMOVED_NAME, RemovedRecord};
use crate::types::MemberId;

impl Applying {
    /// Compat: etcd answers with those asked for, or with the one changed; alarms of unknown
    /// members are kept.
    pub(super) fn alarm(&mut self, request: &AlarmRequest) -> Response {
        let member = MemberId(request.member_id);
        let alarm = (member, request.alarm);
        let name = alarm_name(member, request.alarm);
        let changed = AlarmMember { member_id: request.member_id, alarm: request.alarm };
        let alarms = match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Get) => self.root.alarms_of(request.alarm),
            Ok(AlarmAction::Activate) if request.alarm != i32::from(AlarmType::None) => {
                if !self.root.alarms.contains(&alarm) {
                    self.root.alarms.insert_mut(alarm);
                    self.write_row(Space::Alarms, &name, Bytes::new());
                }
                vec![changed]
            }
            Ok(AlarmAction::Deactivate) if self.root.alarms.remove_mut(&alarm) => {
                self.delete_row(Space::Alarms, &name);
                vec![changed]
            }
            Ok(AlarmAction::Activate | AlarmAction::Deactivate) | Err(_) => Vec::new(),
        };
        Response::Alarm(AlarmResponse { header: Some(range::header(self.root.revision)), alarms })
    }

    /// Compacts logically: what is below is refused from now on. Rows go later, in bounded steps.
    pub(super) fn compaction(&mut self, request: &CompactionRequest) -> Result<Response, Refusal> {
        if request.revision <= self.root.compacted {
            return Err(EtcdError::Compacted.into());
        }
        if request.revision > self.root.revision {
            return Err(EtcdError::FutureRevision.into());
        }
        self.root.compacted = request.revision;
        Ok(Response::Compaction)
    }

    /// Notes a downgrade that operators begin, or that none is under way.
    ///
    /// *Errors*: one is under way already, as in etcd.
    pub(super) fn downgrade(&mut self, downgrade: &Downgrade) -> Result<Response, Refusal> {
        if downgrade.enabled && self.root.downgrade_target.is_some() {
            return Err(EtcdError::DowngradeInProcess.into());
        }
        let target = downgrade.enabled.then(|| downgrade.target_version.clone());
        match &target {
            Some(target) => self.write_row(Space::Meta, DOWNGRADE_NAME, target.clone().into()),
            None if self.root.downgrade_target.is_some() => {
                self.delete_row(Space::Meta, DOWNGRADE_NAME);
            }
            None => {}
        }
        self.root.downgrade_target = target;
        Ok(Response::Downgrade)
    }

    pub(super) fn member_attributes(&mut self, attributes: &MemberAttributes) -> Response {
        let id = MemberId(attributes.member_id);
        self.root.members.insert_mut(id, attributes.clone());
        self.write_row(Space::Members, &member_name(id), attributes.encode_to_vec().into());
        Response::MemberAttributes
    }

    /// Compat: etcd keeps the ids of members that left, and its snapshots have them.
    pub(super) fn note_removed(&mut self, left: &[MemberId]) {
        if left.is_empty() {
            return;
        }
        left.iter().for_each(|id| self.root.removed.insert_mut(*id));
        let member_ids = self.root.removed.iter().map(|id| id.0).collect();
        self.write_row(Space::Meta, REMOVED_NAME, codec::encode(&RemovedRecord { member_ids }));
    }

    /// Removes what members said of themselves that are gone.
    pub(super) fn forget_members_but(&mut self, members: &[MemberId]) {
        let known = self.root.members.keys().copied();
        let gone: Vec<MemberId> = known.filter(|id| !members.contains(id)).collect();
        for id in gone {
            self.root.members.remove_mut(&id);
            self.delete_row(Space::Members, &member_name(id));
        }
    }
}
