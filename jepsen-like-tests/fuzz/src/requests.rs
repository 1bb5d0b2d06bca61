//! Requests as they come over the wire: those that pass the checks of the door are applied.
//!
//! An input is a row of requests: a byte that says which, two bytes of length, and the message.
//! Some of them are none of a client's: a step of compaction, a change of members, who asks from
//! then on.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use proto::authpb::Permission;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::{
    AlarmRequest, AuthRoleAddRequest, AuthRoleGrantPermissionRequest, AuthUserAddRequest,
    AuthUserGrantRoleRequest, CompactionRequest, Compare, DeleteRangeRequest, LeaseCheckpoint,
    LeaseCheckpointRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest,
    RequestOp, TxnRequest,
};
use proto::log::command::Request;
use proto::log::{Batch, Command, CommandHeader};
use store::engine::Memory;
use store::{Answers, LogId, MemberId, Revision, Store, StoreOptions, validate};

/// etcd's default.
const OPERATIONS_MAX: usize = 128;
/// More would only take longer.
const REQUESTS_MAX: usize = 64;
/// Rows that a step of compaction removes.
const COMPACTED_ROWS: usize = 3;

/// Applies what passes to two stores, which must come to the same; and what they wrote opens again.
pub(crate) fn read(data: &[u8]) {
    let requests = requests(data);
    let states = [Answers::Materialise, Answers::Skip].map(|answers| apply(&requests, answers));
    assert_eq!(states[0], states[1], "the state does not depend on who asks");
}

fn apply(requests: &[Asked], answers: Answers) -> State {
    let engine = Arc::new(Memory::new());
    let open = || Store::open(engine.clone(), StoreOptions::default());
    let mut store = open().expect("an empty engine opens");
    let mut header = CommandHeader::default();
    let mut index = 0;
    for asked in requests {
        let mut next = || {
            index += 1;
            LogId { term: 1, index }
        };
        match asked {
            Asked::Range(range) => drop(store.reader().range(range)),
            Asked::Hash(revision) => drop(store.reader().hash_kv(Revision(*revision))),
            Asked::As(username) => {
                header.username.clone_from(username);
                header.auth_revision = store.reader().auth_revision();
            }
            Asked::Compact => drop(store.compact_step(COMPACTED_ROWS)),
            Asked::Members(members, left) => {
                let bytes = Bytes::from_static(b"opaque");
                let applied = store.apply_membership(next(), bytes, members, left);
                applied.expect("an engine in memory does not fail");
            }
            Asked::Write(request) => {
                let header = Some(header.clone());
                let command = Command { header, request: Some(request.clone()) };
                let batch = Batch { state_machine_version: 1, commands: vec![command] };
                let applied = store.apply(next(), &batch, answers);
                applied.expect("an engine in memory does not fail");
            }
        }
    }
    let state = state(&store);
    drop(store);
    assert_eq!(state, self::state(&open().expect("what was written opens")), "nothing is lost");
    state
}

/// Digest, revision, keys, leases.
type State = (String, i64, u64, usize);

fn state(store: &Store) -> State {
    let reader = store.reader();
    let digest = reader.digest_at_applied().1.to_string();
    (digest, reader.revision().0, reader.key_count(), reader.leases().len())
}

enum Asked {
    Range(RangeRequest),
    Hash(i64),
    As(String),
    Compact,
    Members(Vec<MemberId>, Vec<MemberId>),
    Write(Request),
}

fn requests(mut data: &[u8]) -> Vec<Asked> {
    let mut requests = Vec::new();
    while let [kind, low, high, rest @ ..] = data
        && requests.len() < REQUESTS_MAX
    {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (message, after) = rest.split_at(length);
        requests.extend(request(*kind, message));
        data = after;
    }
    requests
}

/// What the door lets through, of every kind that is put into the log.
fn request(kind: u8, message: &[u8]) -> Option<Asked> {
    Some(Asked::Write(match kind % 28 {
        0 => {
            let range = read_as::<RangeRequest>(message)?;
            return validate::check_range(&range).ok().map(|()| Asked::Range(range));
        }
        1 => {
            let put = read_as::<PutRequest>(message)?;
            validate::check_put(&put).ok().map(|()| Request::Put(put))?
        }
        2 => {
            let delete = read_as::<DeleteRangeRequest>(message)?;
            validate::check_delete(&delete).ok().map(|()| Request::DeleteRange(delete))?
        }
        3 => {
            let txn = read_as::<TxnRequest>(message)?;
            validate::check_txn(&txn, OPERATIONS_MAX).ok().map(|()| Request::Txn(txn))?
        }
        4 => Request::Compaction(read_as(message)?),
        5 => {
            let grant = read_as::<LeaseGrantRequest>(message).filter(|grant| grant.id != 0)?;
            validate::check_lease_grant(&grant).ok().map(|()| Request::LeaseGrant(grant))?
        }
        6 => Request::LeaseRevoke(read_as(message)?),
        7 => Request::LeaseCheckpoint(read_as(message)?),
        8 => Request::Alarm(read_as(message)?),
        9 => Request::MemberAttributes(read_as(message)?),
        10 => Request::Downgrade(read_as(message)?),
        11 => return Some(Asked::Hash(i64::from(*message.first()?))),
        12 => return Some(Asked::Compact),
        13 => {
            let ids = |bytes: &[u8]| bytes.iter().map(|id| MemberId(u64::from(*id))).collect();
            let (members, left) = message.split_at(message.len() / 2);
            return Some(Asked::Members(ids(members), ids(left)));
        }
        14 => return String::from_utf8(message.to_vec()).ok().map(Asked::As),
        kind => auth_request(kind, message)?,
    }))
}

fn auth_request(kind: u8, message: &[u8]) -> Option<Request> {
    Some(match kind {
        15 => Request::AuthEnable(read_as(message)?),
        16 => Request::AuthDisable(read_as(message)?),
        17 => Request::Authenticate(read_as(message)?),
        18 => Request::AuthUserAdd(read_as(message)?),
        19 => Request::AuthUserDelete(read_as(message)?),
        20 => Request::AuthUserChangePassword(read_as(message)?),
        21 => Request::AuthUserGrantRole(read_as(message)?),
        22 => Request::AuthUserRevokeRole(read_as(message)?),
        23 => Request::AuthRoleAdd(read_as(message)?),
        24 => Request::AuthRoleDelete(read_as(message)?),
        25 => Request::AuthRoleGrantPermission(read_as(message)?),
        _ => Request::AuthRoleRevokePermission(read_as(message)?),
    })
}

fn read_as<M: Message + Default>(message: &[u8]) -> Option<M> {
    M::decode(message).ok()
}

/// Conversations as clients hold them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let put = |key, lease| PutRequest {
        key: text(key),
        value: text("value"),
        lease,
        ..PutRequest::default()
    };
    let range =
        RangeRequest { key: text("a"), range_end: text("z"), limit: 2, ..Default::default() };
    let delete = DeleteRangeRequest { key: text("a"), range_end: text("b"), prev_kv: true };
    let compare = Compare {
        result: CompareResult::Greater.into(),
        target: CompareTarget::Mod.into(),
        key: text("a"),
        target_union: Some(TargetUnion::ModRevision(1)),
        ..Compare::default()
    };
    let operation = |request| RequestOp { request: Some(request) };
    let nested = TxnRequest {
        success: vec![operation(Op::RequestPut(put("c", 0)))],
        ..TxnRequest::default()
    };
    let txn = TxnRequest {
        compare: vec![compare],
        success: vec![
            operation(Op::RequestPut(put("b", 7))),
            operation(Op::RequestRange(range.clone())),
            operation(Op::RequestTxn(nested)),
        ],
        failure: vec![operation(Op::RequestDeleteRange(delete.clone()))],
    };
    let grant = LeaseGrantRequest { id: 7, ttl: 60 };
    let checkpoint = LeaseCheckpoint { id: 7, remaining_ttl: 3 };
    let checkpoint = LeaseCheckpointRequest { checkpoints: vec![checkpoint] };
    let compaction = CompactionRequest { revision: 2, physical: true };
    let alarm = AlarmRequest { action: 1, member_id: 1, alarm: 1 };
    let mut messages = vec![
        (5, grant.encode_to_vec()),
        (1, put("a", 7).encode_to_vec()),
        (3, txn.encode_to_vec()),
        (0, range.encode_to_vec()),
        (7, checkpoint.encode_to_vec()),
        (2, delete.encode_to_vec()),
        (4, compaction.encode_to_vec()),
        (12, Vec::new()),
        (11, vec![0]),
        (13, vec![1, 2, 3]),
        (6, LeaseRevokeRequest { id: 7 }.encode_to_vec()),
    ];
    messages.extend(guarded());
    messages.extend([(1, put("a", 0).encode_to_vec()), (8, alarm.encode_to_vec())]);
    let framed = |(kind, message): &(u8, Vec<u8>)| {
        let length = u16::try_from(message.len()).expect("short messages").to_le_bytes();
        [&[*kind][..], &length, message].concat()
    };
    let each = messages.iter().map(framed);
    let all: Vec<u8> = messages.iter().flat_map(framed).collect();
    each.chain([all]).collect()
}

/// Users, roles and the switch; from then on a user asks.
fn guarded() -> Vec<(u8, Vec<u8>)> {
    let role = || "root".to_owned();
    let user = AuthUserAddRequest {
        name: "root".to_owned(),
        hashed_password: "aGFzaA==".to_owned(),
        ..AuthUserAddRequest::default()
    };
    let grant = AuthUserGrantRoleRequest { user: "root".to_owned(), role: role() };
    let permission = Permission { perm_type: 2, key: "a".into(), range_end: "b".into() };
    let permission = AuthRoleGrantPermissionRequest { name: role(), perm: Some(permission) };
    vec![
        (18, user.encode_to_vec()),
        (23, AuthRoleAddRequest { name: role() }.encode_to_vec()),
        (21, grant.encode_to_vec()),
        (25, permission.encode_to_vec()),
        (15, Vec::new()),
        (14, b"root".to_vec()),
    ]
}
