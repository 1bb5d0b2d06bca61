//! What an answer is in the formats that hold all of it: a document, fields, and protobuf.
//!
//! Compat: fields are etcdctl's where it has them; where it refuses the format, or prints the
//! header of an answer alone, the whole answer is given.

use prost::Message as _;
use proto::etcdserverpb as pb;

use super::fields::Fields;
use super::{Doc, Object, answers};

/// An answer.
pub(crate) trait Answer: Sized {
    /// For `json` and `yaml`; with `hex`, members' ids are in hexadecimal.
    fn document(self, hex: bool) -> Doc;

    /// For `fields`.
    fn fields(self, fields: &mut Fields, hex: bool) {
        fields.document("", &self.document(hex));
    }

    /// For `protobuf`; `None` when it is no message of etcd.
    fn protobuf(self) -> Option<Vec<u8>> {
        None
    }
}

/// A document of our own.
impl<F: FnOnce() -> Doc> Answer for F {
    fn document(self, _: bool) -> Doc {
        self()
    }
}

/// A message with the function that makes its document, and what puts its fields.
macro_rules! answer {
    ($($message:ident, $self:ident, $hex:ident => $document:expr,
        $fields:ident => $put:expr;)*) => {
        $(impl Answer for &pb::$message {
            fn document($self, $hex: bool) -> Doc {
                $document
            }

            fn fields($self, $fields: &mut Fields, _: bool) {
                $put;
            }

            fn protobuf(self) -> Option<Vec<u8>> {
                Some(self.encode_to_vec())
            }
        })*
    };
}

/// An answer that is a header and nothing else.
macro_rules! header_alone {
    ($($message:ident),*) => {
        answer!($($message, self, _hex => answers::headed(self.header.as_ref()).into(),
            fields => fields.header(self.header.as_ref());)*);
    };
}

/// An answer about members.
macro_rules! members {
    ($($message:ident, $self:ident => $added:expr;)*) => {
        answer!($($message, $self, hex =>
            answers::members($self.header.as_ref(), $added, &$self.members, hex),
            fields => put_members(fields, $self.header.as_ref(), &$self.members);)*);
    };
}

fn put_members(fields: &mut Fields, header: Option<&pb::ResponseHeader>, members: &[pb::Member]) {
    fields.header(header);
    members.iter().for_each(|member| fields.member(member));
}

header_alone!(
    LeaseRevokeResponse,
    CompactionResponse,
    MoveLeaderResponse,
    AuthEnableResponse,
    AuthDisableResponse,
    AuthUserAddResponse,
    AuthUserDeleteResponse,
    AuthUserChangePasswordResponse,
    AuthUserGrantRoleResponse,
    AuthUserRevokeRoleResponse,
    AuthRoleAddResponse,
    AuthRoleDeleteResponse,
    AuthRoleGrantPermissionResponse,
    AuthRoleRevokePermissionResponse
);

members! {
    MemberListResponse, self => None;
    MemberAddResponse, self => self.member.as_ref();
    MemberRemoveResponse, self => None;
    MemberUpdateResponse, self => None;
    MemberPromoteResponse, self => None;
}

answer! {
    RangeResponse, self, _hex => answers::range(self), fields => fields.range(self);
    PutResponse, self, _hex => answers::put(self), fields => fields.put(self);
    DeleteRangeResponse, self, _hex => answers::delete(self), fields => fields.delete(self);
    TxnResponse, self, _hex => answers::txn(self), fields => fields.txn(self);
    WatchResponse, self, _hex => answers::watch(self), fields => fields.watch(self);
    AlarmResponse, self, _hex => answers::alarms(self.header.as_ref(), &self.alarms),
        fields => alarms(fields, self);
    DowngradeResponse, self, _hex => answers::headed(self.header.as_ref())
        .some("version", self.version.as_str()).into(),
        fields => {
            fields.header(self.header.as_ref());
            fields.quoted("Version", &self.version);
        };
    AuthStatusResponse, self, _hex => answers::headed(self.header.as_ref())
        .some("enabled", self.enabled).some("authRevision", self.auth_revision).into(),
        fields => {
            fields.header(self.header.as_ref());
            fields.value("Enabled", self.enabled);
            fields.value("AuthRevision", self.auth_revision);
        };
    AuthUserGetResponse, self, _hex => answers::headed(self.header.as_ref())
        .some("roles", self.roles.as_slice()).into(),
        fields => named(fields, self.header.as_ref(), "Roles", &self.roles);
    AuthUserListResponse, self, _hex => answers::headed(self.header.as_ref())
        .some("users", self.users.as_slice()).into(),
        fields => named(fields, self.header.as_ref(), "Users", &self.users);
    AuthRoleListResponse, self, _hex => answers::headed(self.header.as_ref())
        .some("roles", self.roles.as_slice()).into(),
        fields => named(fields, self.header.as_ref(), "Roles", &self.roles);
    AuthRoleGetResponse, self, _hex => answers::permissions(self.header.as_ref(), &self.perm),
        fields => permissions(fields, self);
    LeaseGrantResponse, self, _hex => answers::header_fields(self.header.as_ref())
        .with("ID", self.id).with("TTL", self.ttl).with("Error", self.error.as_str()).into(),
        fields => lease(fields, self.header.as_ref(), self.id, self.ttl);
    LeaseKeepAliveResponse, self, _hex => answers::header_fields(self.header.as_ref())
        .with("ID", self.id).with("TTL", self.ttl).into(),
        fields => lease(fields, self.header.as_ref(), self.id, self.ttl);
    LeaseTimeToLiveResponse, self, _hex => answers::time_to_live(self),
        fields => time_to_live(fields, self);
    LeaseLeasesResponse, self, _hex => answers::header_fields(self.header.as_ref())
        .with("leases", Doc::list(&self.leases, |one| Object::new().with("id", one.id).into()))
        .into(),
        fields => {
            fields.header(self.header.as_ref());
            self.leases.iter().for_each(|one| fields.lease("ID", one.id));
        };
}

fn named(fields: &mut Fields, header: Option<&pb::ResponseHeader>, name: &str, all: &[String]) {
    fields.header(header);
    fields.all_quoted(name, all);
}

fn lease(fields: &mut Fields, header: Option<&pb::ResponseHeader>, id: i64, ttl: i64) {
    fields.header(header);
    fields.lease("ID", id);
    fields.value("TTL", ttl);
}

fn time_to_live(fields: &mut Fields, answer: &pb::LeaseTimeToLiveResponse) {
    lease(fields, answer.header.as_ref(), answer.id, answer.ttl);
    fields.value("GrantedTTL", answer.granted_ttl);
    answer.keys.iter().for_each(|key| fields.quoted("Key", key));
}

fn alarms(fields: &mut Fields, answer: &pb::AlarmResponse) {
    fields.header(answer.header.as_ref());
    for alarm in &answer.alarms {
        fields.id("MemberID", alarm.member_id);
        let kind = pb::AlarmType::try_from(alarm.alarm).map_or("?", |kind| kind.as_str_name());
        fields.value("AlarmType", kind);
        fields.end();
    }
}

fn permissions(fields: &mut Fields, answer: &pb::AuthRoleGetResponse) {
    fields.header(answer.header.as_ref());
    for permission in &answer.perm {
        let kind = proto::authpb::permission::Type::try_from(permission.perm_type);
        // Compat: with a second blank.
        let kind = kind.map_or("?", |kind| kind.as_str_name());
        fields.value("PermType", format_args!(" {kind}"));
        fields.quoted("Key", &permission.key);
        fields.quoted("RangeEnd", &permission.range_end);
    }
}
