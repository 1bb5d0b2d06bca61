//! Every RPC of the descriptors, asked by nobody, with a bad token, by a user and by root.
//!
//! A row says who is let in; those who are not get the text of that column. An RPC without a row
//! fails the test: what is new must say whom it serves.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message as _;
use proto::authpb::Permission;
use proto::etcdserverpb as pb;
use proto::{v3electionpb as election, v3lockpb as lock};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Code, Status};

use crate::auth::{As, FLAGS, add_user, login, switch_on};
use crate::support::{Node, one_with};

/// Who is let in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// Anybody, whatever token comes along.
    Always,
    /// Anybody, but not with a bad token.
    Anybody,
    /// Any user.
    Users,
    /// Root, and users with a permission that ours does not have.
    Root,
}

fn bytes(message: impl prost::Message) -> Vec<u8> {
    message.encode_to_vec()
}

fn key(key: &str) -> bytes::Bytes {
    key.to_owned().into()
}

/// The requests; those that switch off what is tested come last.
fn rows() -> Vec<(&'static str, Vec<u8>, Open)> {
    use Open::{Root, Users};
    let mut rows = data_rows();
    rows.extend([
        (
            "etcdserverpb.Cluster/MemberAdd",
            bytes(pb::MemberAddRequest {
                peer_urls: vec!["http://127.0.0.1:1".into()],
                is_learner: true,
            }),
            Root,
        ),
        ("etcdserverpb.Cluster/MemberRemove", bytes(pb::MemberRemoveRequest { id: 1 }), Root),
        (
            "etcdserverpb.Cluster/MemberUpdate",
            bytes(pb::MemberUpdateRequest { id: 1, ..Default::default() }),
            Root,
        ),
        ("etcdserverpb.Cluster/MemberPromote", bytes(pb::MemberPromoteRequest { id: 1 }), Root),
        ("etcdserverpb.Cluster/MemberList", vec![], Users),
        ("etcdserverpb.Maintenance/Alarm", vec![], Users),
        (
            "etcdserverpb.Maintenance/Alarm",
            bytes(pb::AlarmRequest { action: 2, ..Default::default() }),
            Root,
        ),
        ("etcdserverpb.Maintenance/Status", vec![], Users),
        ("etcdserverpb.Maintenance/Defragment", vec![], Root),
        ("etcdserverpb.Maintenance/Hash", vec![], Root),
        ("etcdserverpb.Maintenance/HashKV", vec![], Root),
        ("etcdserverpb.Maintenance/Snapshot", vec![], Root),
        (
            "etcdserverpb.Maintenance/MoveLeader",
            bytes(pb::MoveLeaderRequest { target_id: 1 }),
            Root,
        ),
        ("etcdserverpb.Maintenance/Downgrade", vec![], Root),
    ]);
    rows.extend(auth_rows());
    rows
}

fn auth_rows() -> Vec<(&'static str, Vec<u8>, Open)> {
    use Open::{Always, Anybody, Root};
    vec![
        ("etcdserverpb.Auth/AuthStatus", vec![], Anybody),
        (
            "etcdserverpb.Auth/Authenticate",
            bytes(pb::AuthenticateRequest { name: "root".into(), password: "root".into() }),
            Always,
        ),
        (
            "etcdserverpb.Auth/UserAdd",
            bytes(pb::AuthUserAddRequest { name: "new".into(), ..Default::default() }),
            Root,
        ),
        ("etcdserverpb.Auth/UserGet", bytes(pb::AuthUserGetRequest { name: "root".into() }), Root),
        ("etcdserverpb.Auth/UserList", vec![], Root),
        (
            "etcdserverpb.Auth/UserChangePassword",
            bytes(pb::AuthUserChangePasswordRequest { name: "new".into(), ..Default::default() }),
            Root,
        ),
        (
            "etcdserverpb.Auth/UserGrantRole",
            bytes(pb::AuthUserGrantRoleRequest { user: "new".into(), role: "root".into() }),
            Root,
        ),
        (
            "etcdserverpb.Auth/UserRevokeRole",
            bytes(pb::AuthUserRevokeRoleRequest { name: "new".into(), role: "root".into() }),
            Root,
        ),
        (
            "etcdserverpb.Auth/UserDelete",
            bytes(pb::AuthUserDeleteRequest { name: "new".into() }),
            Root,
        ),
        ("etcdserverpb.Auth/RoleAdd", bytes(pb::AuthRoleAddRequest { name: "new".into() }), Root),
        ("etcdserverpb.Auth/RoleGet", bytes(pb::AuthRoleGetRequest { role: "root".into() }), Root),
        ("etcdserverpb.Auth/RoleList", vec![], Root),
        ("etcdserverpb.Auth/RoleGrantPermission", bytes(permission()), Root),
        (
            "etcdserverpb.Auth/RoleRevokePermission",
            bytes(pb::AuthRoleRevokePermissionRequest {
                role: "new".into(),
                key: key("k"),
                ..Default::default()
            }),
            Root,
        ),
        (
            "etcdserverpb.Auth/RoleDelete",
            bytes(pb::AuthRoleDeleteRequest { role: "new".into() }),
            Root,
        ),
        ("etcdserverpb.Auth/AuthEnable", vec![], Root),
        ("etcdserverpb.Auth/AuthDisable", vec![], Root),
    ]
}

fn data_rows() -> Vec<(&'static str, Vec<u8>, Open)> {
    use Open::{Root, Users};
    let range = bytes(pb::RangeRequest { key: key("k"), ..Default::default() });
    let create = pb::WatchCreateRequest { key: key("k"), ..Default::default() };
    let union = Some(pb::watch_request::RequestUnion::CreateRequest(create));
    let leader = election::LeaderKey { name: key("e"), key: key("e/1"), rev: 1, lease: 1 };
    vec![
        ("etcdserverpb.KV/Range", range.clone(), Root),
        ("etcdserverpb.KV/RangeStream", range.clone(), Root),
        (
            "etcdserverpb.KV/Put",
            bytes(pb::PutRequest { key: key("k"), ..Default::default() }),
            Root,
        ),
        (
            "etcdserverpb.KV/DeleteRange",
            bytes(pb::DeleteRangeRequest { key: key("k"), ..Default::default() }),
            Root,
        ),
        (
            "etcdserverpb.KV/Txn",
            bytes(pb::TxnRequest {
                compare: vec![pb::Compare { key: key("k"), ..Default::default() }],
                ..Default::default()
            }),
            Root,
        ),
        (
            "etcdserverpb.KV/Compact",
            bytes(pb::CompactionRequest { revision: 1, ..Default::default() }),
            Root,
        ),
        ("etcdserverpb.Watch/Watch", bytes(pb::WatchRequest { request_union: union }), Root),
        ("etcdserverpb.Lease/LeaseGrant", bytes(pb::LeaseGrantRequest { ttl: 60, id: 0 }), Users),
        ("etcdserverpb.Lease/LeaseKeepAlive", bytes(pb::LeaseKeepAliveRequest { id: 77 }), Root),
        (
            "etcdserverpb.Lease/LeaseTimeToLive",
            bytes(pb::LeaseTimeToLiveRequest { id: 77, keys: true }),
            Root,
        ),
        (
            "etcdserverpb.Lease/LeaseTimeToLive",
            bytes(pb::LeaseTimeToLiveRequest { id: 77, keys: false }),
            Users,
        ),
        ("etcdserverpb.Lease/LeaseLeases", vec![], Root),
        ("etcdserverpb.Lease/LeaseRevoke", bytes(pb::LeaseRevokeRequest { id: 77 }), Root),
        ("v3lockpb.Lock/Lock", bytes(lock::LockRequest { name: key("l"), lease: 0 }), Root),
        ("v3lockpb.Lock/Unlock", bytes(lock::UnlockRequest { key: key("l/1") }), Root),
        (
            "v3electionpb.Election/Campaign",
            bytes(election::CampaignRequest { name: key("e"), lease: 0, value: key("v") }),
            Root,
        ),
        (
            "v3electionpb.Election/Proclaim",
            bytes(election::ProclaimRequest { leader: Some(leader.clone()), value: key("v") }),
            Root,
        ),
        ("v3electionpb.Election/Leader", bytes(election::LeaderRequest { name: key("e") }), Root),
        ("v3electionpb.Election/Observe", bytes(election::LeaderRequest { name: key("e") }), Root),
        (
            "v3electionpb.Election/Resign",
            bytes(election::ResignRequest { leader: Some(leader) }),
            Root,
        ),
    ]
}

fn permission() -> pb::AuthRoleGrantPermissionRequest {
    let perm = Permission { perm_type: 2, key: key("k"), range_end: key("") };
    pb::AuthRoleGrantPermissionRequest { name: "new".into(), perm: Some(perm) }
}

/// Messages as bytes.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(buffer);
        let mut item = vec![0; length];
        bytes::Buf::copy_to_slice(buffer, &mut item);
        Ok(Some(item))
    }
}

/// A stream that has nothing to say yet has let its caller in.
const SILENCE: Duration = Duration::from_millis(500);

/// One call as a stream on both sides, which any shape of call understands; its first answer.
async fn call(
    node: &Node,
    who: &As,
    path: &str,
    request: Vec<u8>,
) -> Result<Option<Vec<u8>>, Status> {
    let mut client = Grpc::new(node.channel.clone());
    client.ready().await.expect("connected");
    let path = format!("/{path}").parse().expect("a path");
    // Watches and keep-alives end when their client is done asking.
    let asked = tokio_stream::iter([request]);
    let first = async {
        let answer = client.streaming(who.ask(asked), path, Raw).await?;
        answer.into_inner().message().await
    };
    match tokio::time::timeout(SILENCE, first).await {
        Ok(first) => first,
        Err(_) => Ok(Some(Vec::new())),
    }
}

/// What keeps a caller out, or `None` when the door let it in, whatever became of the call.
fn kept_out(path: &str, answer: &Result<Option<Vec<u8>>, Status>) -> Option<String> {
    const REFUSALS: [&str; 3] = [
        "etcdserver: user name is empty",
        "etcdserver: invalid auth token",
        "etcdserver: permission denied",
    ];
    let text = match answer {
        Err(status) => status.message().to_owned(),
        // Compat: who may not observe is told nothing.
        Ok(None) if path.ends_with("/Observe") => return Some("the end".to_owned()),
        // A refused watch is told in its first answer.
        Ok(Some(first)) if path.ends_with("/Watch") => {
            let answer = pb::WatchResponse::decode(first.as_slice()).expect("a watch answer");
            answer.cancel_reason
        }
        Ok(_) => return None,
    };
    REFUSALS.into_iter().find(|refusal| text.ends_with(refusal)).map(str::to_owned)
}

fn expected(open: Open, who: &str) -> Option<&'static str> {
    match (who, open) {
        ("root", _) | (_, Open::Always) => None,
        ("bad token", _) => Some("etcdserver: invalid auth token"),
        (_, Open::Anybody) => None,
        ("nobody", _) => Some("etcdserver: user name is empty"),
        (_, Open::Users) => None,
        (_, Open::Root) => Some("etcdserver: permission denied"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_lets_in_whom_it_should_and_nobody_else() {
    let node = one_with(FLAGS).await;
    let root = switch_on(&node).await;
    add_user(&node, &root, "user").await;
    let grant = pb::LeaseGrantRequest { ttl: 600, id: 77 };
    let path = "etcdserverpb.Lease/LeaseGrant";
    call(&node, &root, path, bytes(grant)).await.expect("granted");
    let attached = pb::PutRequest { key: key("leased"), lease: 77, ..Default::default() };
    call(&node, &root, "etcdserverpb.KV/Put", bytes(attached)).await.expect("attached");

    let rows = rows();
    let asked: BTreeSet<&str> = rows.iter().map(|row| row.0).collect();
    let described = described();
    let missing: Vec<_> = described.iter().filter(|path| !asked.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "no row says whom these serve: {missing:?}");
    assert_eq!(asked.len(), described.len(), "a row for what does not exist");
    for (path, request, open) in rows {
        // Anew for each row: the rows change users, which ends tokens.
        let (root, user) = (login(&node, "root").await, login(&node, "user").await);
        let bad = As::token("abcdefghijklmnop.1");
        let callers =
            [("nobody", As::nobody()), ("bad token", bad), ("user", user), ("root", root)];
        for (name, who) in callers {
            let answer = call(&node, &who, path, request.clone()).await;
            let served = !matches!(&answer, Err(status) if status.code() == Code::Unimplemented);
            if served {
                let out = kept_out(path, &answer);
                let expected = match expected(open, name) {
                    Some(_) if path.ends_with("/Observe") => Some("the end"),
                    expected => expected,
                };
                assert_eq!(out.as_deref(), expected, "{path} by {name}: {answer:?}");
            }
        }
    }
}

/// Every RPC of etcd's published services.
fn described() -> BTreeSet<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/messages/proto");
    let names = ["kv", "watch", "lease", "cluster", "maintenance", "auth", "lock", "election"];
    let files: Vec<String> = names.iter().map(|name| format!("etcd/{name}.proto")).collect();
    let set = protox::compile(&files, [root]).expect("our own files compile");
    let services = set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(move |service| (file.package(), service)));
    services
        .flat_map(|(package, service)| {
            let name = service.name();
            service.method.iter().map(move |one| format!("{package}.{name}/{}", one.name()))
        })
        .collect()
}
