//! The scripted part: every corner that is known, in an order that builds on itself.

use proto::authpb::permission::Type;
use proto::authpb::{Permission, UserAddOptions};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request as Op;

use super::ask::password;
use super::{Ask, Step, Who};

use Who::{Forged, Nobody, User};

const ROOT: Who = User("root");
const ANN: Who = User("ann");

/// The scripted steps; members take turns.
pub(super) fn steps(members: usize) -> Vec<Step> {
    let parts = [
        while_off(),
        switched_on(),
        users_and_roles(),
        permissions(),
        trees(),
        leases(),
        watches(),
        administration(),
        tokens(),
    ];
    let all = parts.into_iter().flatten().enumerate();
    all.map(|(number, (who, ask))| Step { who, member: number % members, ask }).collect()
}

/// What every conversation ends with.
pub(super) fn last() -> Vec<Step> {
    let asks = [
        Ask::Authenticate("root", password("root")),
        Ask::UserList,
        Ask::RoleList,
        Ask::AuthStatus,
        Ask::HashKv,
    ];
    asks.into_iter().map(|ask| Step { who: ROOT, member: 0, ask }).collect()
}

type Script = Vec<(Who, Ask)>;

pub(super) fn add(name: &str) -> Ask {
    Ask::UserAdd(pb::AuthUserAddRequest {
        name: name.to_owned(),
        password: if name.is_empty() { String::new() } else { password(name) },
        ..Default::default()
    })
}

pub(super) fn add_without_password(name: &str) -> Ask {
    Ask::UserAdd(pb::AuthUserAddRequest {
        name: name.to_owned(),
        // Compat: etcd takes no notice of a password here; it must not be kept either.
        password: password(name),
        options: Some(UserAddOptions { no_password: true }),
        ..Default::default()
    })
}

pub(super) fn login(name: &'static str) -> Ask {
    Ask::Authenticate(name, password(name))
}

fn change(name: &str, password: String, hashed_password: &str) -> Ask {
    Ask::UserChangePassword(pb::AuthUserChangePasswordRequest {
        name: name.to_owned(),
        password,
        hashed_password: hashed_password.to_owned(),
    })
}

pub(super) fn grant(role: &str, kind: i32, key: &str, range_end: &str) -> Ask {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    let perm = Some(Permission { perm_type: kind, key, range_end });
    Ask::RoleGrantPermission(pb::AuthRoleGrantPermissionRequest { name: role.to_owned(), perm })
}

pub(super) fn revoke(role: &str, key: &str, range_end: &str) -> Ask {
    Ask::RoleRevokePermission(pb::AuthRoleRevokePermissionRequest {
        role: role.to_owned(),
        key: key.to_owned().into(),
        range_end: range_end.to_owned().into(),
    })
}

pub(super) fn range(key: &str, range_end: &str) -> pb::RangeRequest {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    pb::RangeRequest { key, range_end, ..Default::default() }
}

pub(super) fn put(key: &str) -> pb::PutRequest {
    pb::PutRequest { key: key.to_owned().into(), value: "v".into(), ..Default::default() }
}

pub(super) fn delete(key: &str, range_end: &str) -> pb::DeleteRangeRequest {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    pb::DeleteRangeRequest { key, range_end, prev_kv: false }
}

fn watch(key: &str, range_end: &str, start_revision: i64) -> Ask {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    Ask::Watch(pb::WatchCreateRequest { key, range_end, start_revision, ..Default::default() })
}

fn while_off() -> Script {
    let asks = vec![
        Ask::AuthStatus,
        Ask::AuthDisable,
        Ask::AuthEnable,
        login("root"),
        add(""),
        add("root"),
        add("root"),
        Ask::AuthEnable,
        Ask::UserGet("root"),
        Ask::UserGet("nobody"),
        Ask::UserGrantRole("root", "root"),
        Ask::UserGrantRole("root", "root"),
        Ask::UserGrantRole("nobody", "root"),
        Ask::UserGrantRole("root", "none"),
        Ask::RoleGet("root"),
        Ask::RoleAdd("root"),
        Ask::RoleGet("root"),
        Ask::RoleAdd(""),
        Ask::UserRevokeRole("root", "none"),
        Ask::UserRevokeRole("nobody", "root"),
        Ask::UserDelete("nobody"),
        Ask::RoleDelete("nobody"),
        Ask::UserAdd(pb::AuthUserAddRequest {
            name: "long".into(),
            password: "x".repeat(73),
            ..Default::default()
        }),
        add("eve"),
        Ask::UserDelete("eve"),
        Ask::Put(put("before")),
        Ask::AuthStatus,
    ];
    let mut script: Script = asks.into_iter().map(|ask| (Nobody, ask)).collect();
    // Tokens are not looked at yet.
    script.extend([(Forged, Ask::Put(put("before"))), (Forged, Ask::UserList)]);
    script
}

fn switched_on() -> Script {
    vec![
        (Nobody, Ask::AuthEnable),
        (Nobody, Ask::AuthEnable),
        (Nobody, Ask::AuthStatus),
        (Forged, Ask::AuthStatus),
        (Nobody, login("root")),
        (Nobody, Ask::Authenticate("root", "wrong".into())),
        (Nobody, Ask::Authenticate("nobody", "wrong".into())),
        (Nobody, Ask::Authenticate("", String::new())),
        (ROOT, Ask::AuthEnable),
        (ROOT, Ask::AuthStatus),
        (Nobody, Ask::UserList),
        (Forged, Ask::UserList),
        (ROOT, Ask::UserList),
        (ROOT, Ask::RoleList),
        (ROOT, Ask::UserDelete("root")),
        (ROOT, Ask::RoleDelete("root")),
        (ROOT, Ask::UserRevokeRole("root", "root")),
        (Nobody, Ask::AuthDisable),
        (Forged, Ask::AuthDisable),
        (ROOT, Ask::Put(put("a"))),
        (Nobody, Ask::Put(put("a"))),
        (Forged, Ask::Put(put("a"))),
        (Nobody, Ask::Range(range("a", ""))),
        (Forged, Ask::Range(range("a", ""))),
        (Nobody, Ask::RangeStream(range("a", ""))),
    ]
}

fn users_and_roles() -> Script {
    let mut script: Script = [
        add("ann"),
        add_without_password("bob"),
        add("eve"),
        add("ann"),
        add(""),
        Ask::RoleAdd("r1"),
        Ask::RoleAdd("r2"),
        Ask::RoleAdd("r1"),
        Ask::RoleAdd(""),
        Ask::UserGrantRole("ann", "r2"),
        Ask::UserGrantRole("ann", "r1"),
        Ask::UserGrantRole("ann", "r1"),
        Ask::UserGrantRole("ann", "none"),
        Ask::UserGrantRole("none", "r1"),
        Ask::UserGet("ann"),
        Ask::UserList,
        Ask::RoleList,
        Ask::UserRevokeRole("ann", "none"),
        Ask::AuthStatus,
    ]
    .into_iter()
    .map(|ask| (ROOT, ask))
    .collect();
    script.extend([
        (Nobody, login("ann")),
        (Nobody, login("bob")),
        (Nobody, login("eve")),
        (ANN, Ask::UserGet("ann")),
        (ANN, Ask::UserGet("root")),
        (ANN, Ask::UserGet("none")),
        (Nobody, Ask::UserGet("")),
        (ANN, Ask::RoleGet("r1")),
        (ANN, Ask::RoleGet("root")),
        (ANN, Ask::RoleGet("none")),
        (ANN, Ask::UserList),
        (ANN, Ask::RoleList),
        (ANN, add("mallory")),
        (ANN, Ask::UserGrantRole("ann", "root")),
        (ANN, Ask::AuthDisable),
        (ANN, change("ann", "new".into(), "")),
        (Nobody, Ask::UserGet("ann")),
        (Forged, Ask::UserGet("ann")),
    ]);
    script
}

/// Ranges inside, across and outside of what is granted.
const SPANS: [(&str, &str); 19] = [
    ("a", ""),
    ("a", "b"),
    ("a", "c"),
    ("a", "d"),
    ("c", ""),
    ("d", "h"),
    ("d", "i"),
    ("e", "g"),
    ("m", "q"),
    ("x", "\0"),
    ("y", "\0"),
    ("w", "\0"),
    ("\0", "\0"),
    ("zz", ""),
    ("z", "y"),
    ("g", "a"),
    ("q", ""),
    ("p", ""),
    ("p\0", ""),
];

fn permissions() -> Script {
    let (read, write, both) = (Type::Read as i32, Type::Write as i32, Type::Readwrite as i32);
    let none = Ask::RoleGrantPermission(pb::AuthRoleGrantPermissionRequest {
        name: "r1".into(),
        perm: None,
    });
    let mut script: Script = vec![
        none,
        grant("none", read, "a", ""),
        grant("r1", read, "", ""),
        grant("r1", read, "b", "a"),
        grant("r1", read, "b", "b"),
        grant("r1", read, "m", "q"),
        grant("r1", write, "c", ""),
        grant("r1", read, "a", "c"),
        grant("r1", read, "a", "b"),
        grant("r1", both, "a", "b"),
        grant("r1", both, "a", "b"),
        grant("r1", write, "a", "c"),
        grant("r1", 7, "zz", ""),
        grant("r2", both, "x", "\0"),
        grant("r2", read, "d", "f"),
        grant("r2", read, "f", "h"),
        Ask::RoleGet("r1"),
        Ask::RoleGet("r2"),
        revoke("none", "a", ""),
        revoke("r1", "nothing", ""),
        revoke("r1", "m", ""),
        revoke("r1", "a", "b"),
        Ask::RoleGet("r1"),
        Ask::AuthStatus,
    ]
    .into_iter()
    .map(|ask| (ROOT, ask))
    .collect();
    script.push((Nobody, login("ann")));
    for (key, range_end) in SPANS {
        script.push((ANN, Ask::Range(range(key, range_end))));
        script.push((ANN, Ask::Delete(delete(key, range_end))));
        let with_previous = pb::DeleteRangeRequest { prev_kv: true, ..delete(key, range_end) };
        script.push((ANN, Ask::Delete(with_previous)));
        if range_end.is_empty() {
            script.push((ANN, Ask::Put(put(key))));
            script.push((ANN, Ask::Put(pb::PutRequest { prev_kv: true, ..put(key) })));
        }
    }
    script.push((ANN, Ask::Range(pb::RangeRequest { serializable: true, ..range("q", "") })));
    script.push((ANN, Ask::Range(pb::RangeRequest { count_only: true, ..range("\0", "\0") })));
    script
}

/// Each operation alone, nested, and in the branch that is not taken.
fn trees() -> Script {
    let mut script = Script::new();
    let operations = || {
        let previous = |key| pb::PutRequest { prev_kv: true, ..put(key) };
        let deleted = |key| pb::DeleteRangeRequest { prev_kv: true, ..delete(key, "") };
        let kept = |key| pb::PutRequest { ignore_value: true, value: "".into(), ..put(key) };
        ["c", "x", "d", "q"].into_iter().flat_map(move |key| {
            [
                Op::RequestRange(range(key, "")),
                Op::RequestPut(put(key)),
                Op::RequestPut(previous(key)),
                Op::RequestPut(kept(key)),
                Op::RequestDeleteRange(delete(key, "")),
                Op::RequestDeleteRange(deleted(key)),
            ]
        })
    };
    for depth in 0..3 {
        for operation in operations() {
            let mut list = vec![pb::RequestOp { request: Some(operation) }];
            for _ in 0..depth {
                let inner = pb::TxnRequest { failure: list, ..Default::default() };
                list = vec![pb::RequestOp { request: Some(Op::RequestTxn(inner)) }];
            }
            let txn = pb::TxnRequest { success: list, ..Default::default() };
            script.push((ANN, Ask::Txn(txn)));
        }
    }
    for key in ["d", "c", "q"] {
        let compare = vec![pb::Compare { key: key.into(), ..Default::default() }];
        script.push((ANN, Ask::Txn(pb::TxnRequest { compare, ..Default::default() })));
    }
    script.push((Nobody, Ask::Txn(pb::TxnRequest::default())));
    script.push((Forged, Ask::Txn(pb::TxnRequest::default())));
    script
}

fn leases() -> Script {
    let leased = |key, lease| Ask::Put(pb::PutRequest { lease, ..put(key) });
    vec![
        (Nobody, Ask::LeaseGrant(70)),
        (Forged, Ask::LeaseGrant(70)),
        (ANN, Ask::LeaseGrant(70)),
        (ROOT, Ask::LeaseGrant(71)),
        (ROOT, leased("secret", 71)),
        (ANN, leased("x", 70)),
        (ANN, leased("x", 71)),
        (ANN, leased("x", 99)),
        (ANN, leased("secret", 70)),
        (ANN, Ask::LeaseTimeToLive(70, true)),
        (ANN, Ask::LeaseTimeToLive(71, true)),
        (ANN, Ask::LeaseTimeToLive(71, false)),
        (ANN, Ask::LeaseTimeToLive(99, true)),
        (Nobody, Ask::LeaseTimeToLive(70, false)),
        (Forged, Ask::LeaseTimeToLive(70, false)),
        (ANN, Ask::LeaseKeepAlive(70)),
        (ANN, Ask::LeaseKeepAlive(71)),
        (ANN, Ask::LeaseKeepAlive(99)),
        (Nobody, Ask::LeaseKeepAlive(70)),
        (Forged, Ask::LeaseKeepAlive(70)),
        (ROOT, Ask::LeaseKeepAlive(71)),
        (ANN, Ask::LeaseLeases),
        (Nobody, Ask::LeaseLeases),
        (ROOT, Ask::LeaseLeases),
        (ANN, Ask::LeaseRevoke(71)),
        (Nobody, Ask::LeaseRevoke(71)),
        (ANN, Ask::LeaseRevoke(99)),
        (ANN, Ask::LeaseRevoke(70)),
        (ROOT, Ask::LeaseRevoke(71)),
    ]
}

fn watches() -> Script {
    let mut script = Script::new();
    for (key, range_end) in [
        ("d", ""),
        ("d", "h"),
        ("d", "\0"),
        ("x", "\0"),
        ("c", ""),
        ("", ""),
        ("", "\0"),
        ("q", ""),
    ] {
        script.push((ANN, watch(key, range_end, 0)));
    }
    script.extend([
        (Nobody, watch("d", "", 0)),
        (Forged, watch("d", "", 0)),
        (ANN, watch("q", "", -1)),
        (ROOT, watch("", "\0", 0)),
    ]);
    script
}

fn administration() -> Script {
    let mut script = Script::new();
    for who in [Nobody, Forged, ANN, ROOT] {
        let disarm = pb::AlarmRequest { action: 2, member_id: 0, alarm: 1 };
        for ask in [
            Ask::Status,
            Ask::MemberList,
            Ask::MemberRemove,
            Ask::Alarm(pb::AlarmRequest::default()),
            Ask::Alarm(disarm),
            Ask::HashKv,
            Ask::Defragment,
            Ask::MoveLeader,
            Ask::Compact(2),
        ] {
            script.push((who, ask));
        }
    }
    script
}

fn tokens() -> Script {
    vec![
        (ROOT, change("none", "x".into(), "")),
        (ROOT, change("bob", "x".into(), "")),
        (Nobody, Ask::Authenticate("bob", "x".into())),
        (ROOT, change("ann", String::new(), "")),
        (ANN, Ask::Range(range("d", ""))),
        (Nobody, login("ann")),
        (Nobody, Ask::Authenticate("ann", String::new())),
        (ROOT, change("ann", "x".repeat(73), "")),
        (ROOT, change("ann", password("ann"), "")),
        (Nobody, login("ann")),
        (ANN, Ask::Range(range("d", ""))),
        (ROOT, Ask::RoleDelete("r2")),
        (ANN, Ask::Range(range("d", ""))),
        (ROOT, Ask::UserGet("ann")),
        (Nobody, login("ann")),
        (ANN, Ask::Range(range("d", ""))),
        (Nobody, login("root")),
        (ROOT, Ask::UserDelete("ann")),
        (ANN, Ask::Range(range("d", ""))),
        (ANN, Ask::Put(put("d"))),
        (ANN, Ask::Status),
        (ANN, Ask::LeaseGrant(72)),
        (Nobody, login("ann")),
        (ROOT, Ask::AuthDisable),
        (Nobody, Ask::AuthStatus),
        (ROOT, Ask::Put(put("off"))),
        (Nobody, Ask::Put(put("off"))),
        (Nobody, login("root")),
        (Nobody, Ask::AuthEnable),
        (ROOT, Ask::Put(put("off"))),
        (Nobody, login("root")),
        (ROOT, Ask::Put(put("on"))),
        (ROOT, Ask::HashKv),
    ]
}
