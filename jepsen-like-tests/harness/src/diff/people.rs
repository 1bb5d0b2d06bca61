//! Draws what is done to users, roles and permissions.
//!
//! Invariant: `root` keeps its role and its password, or the conversation would end there.
//! Must not know: who does it.

use std::collections::VecDeque;

use bytes::Bytes;
use proto::authpb::permission::Type;
use proto::authpb::{Permission, UserAddOptions};
use proto::etcdserverpb as pb;

use super::call::Call;
use super::generate::Step;
use super::talk::Talk;
use super::who::{KEEPER, USERS, Who, password};

const ROLES: [&str; 4] = ["root", "r1", "r2", "r3"];

/// Distinct keys, so that no two permissions of a role are in an order that etcd leaves open.
const GRANTS: [(&str, &str); 6] =
    [("a", ""), ("b", "d"), ("c", ""), ("d", "f"), ("e", "\0"), ("lock/", "lock0")];

fn user(name: &str) -> Step {
    let (name, password) = (name.to_owned(), password(name));
    let request = pb::AuthUserAddRequest { name, password, ..Default::default() };
    Step::Other(Call::new("etcdserverpb.Auth/UserAdd", &request))
}

fn role(name: &str) -> Step {
    let request = pb::AuthRoleAddRequest { name: name.to_owned() };
    Step::Other(Call::new("etcdserverpb.Auth/RoleAdd", &request))
}

fn give(user: &str, role: &str) -> Step {
    let request = pb::AuthUserGrantRoleRequest { user: user.to_owned(), role: role.to_owned() };
    Step::Other(Call::new("etcdserverpb.Auth/UserGrantRole", &request))
}

fn permit(role: &str, kind: i32, key: &str, range_end: &str) -> Step {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    let perm = Some(Permission { perm_type: kind, key, range_end });
    let request = pb::AuthRoleGrantPermissionRequest { name: role.to_owned(), perm };
    Step::Other(Call::new("etcdserverpb.Auth/RoleGrantPermission", &request))
}

/// Switches authentication on.
pub(super) fn enable() -> Step {
    Step::Other(Call { rpc: "etcdserverpb.Auth/AuthEnable", request: Bytes::new() })
}

/// Users with and without permissions, and authentication switched on.
pub(super) fn prelude() -> VecDeque<(Who, Step)> {
    let mut steps: Vec<Step> = USERS.into_iter().chain([KEEPER]).map(user).collect();
    steps.extend(ROLES.into_iter().map(role));
    steps.extend([
        give("root", "root"),
        give(KEEPER, "root"),
        give("ann", "r1"),
        give("bob", "r2"),
        permit("r1", Type::Readwrite as i32, "b", "h"),
        permit("r2", Type::Read as i32, "\0", "\0"),
        permit("r2", Type::Write as i32, "c", ""),
        enable(),
    ]);
    steps.into_iter().map(|step| (Who::Nobody, step)).collect()
}

/// One change or question; `root` takes part only where there is one.
pub(super) fn administration(talk: &mut Talk, with_root: bool) -> Step {
    let name = if with_root { talk.pick(&USERS) } else { talk.pick(&USERS[1..]) };
    let role_name = talk.pick(&ROLES);
    let (key, range_end) = talk.pick(&GRANTS);
    let is_root = name == "root";
    let (user_name, role_text) = (name.to_owned(), role_name.to_owned());
    let call = match talk.below(24) {
        0 | 1 => return user(name),
        2 if !is_root => {
            let options = Some(UserAddOptions { no_password: true });
            let request = pb::AuthUserAddRequest { name: user_name, options, ..Default::default() };
            Call::new("etcdserverpb.Auth/UserAdd", &request)
        }
        3 if !is_root => {
            let request = pb::AuthUserDeleteRequest { name: user_name };
            Call::new("etcdserverpb.Auth/UserDelete", &request)
        }
        4 => {
            let request = pb::AuthUserChangePasswordRequest {
                name: user_name,
                password: password(name),
                ..Default::default()
            };
            Call::new("etcdserverpb.Auth/UserChangePassword", &request)
        }
        5..8 if role_name != "root" || is_root => return give(name, role_name),
        8 | 9 if !is_root => {
            let request = pb::AuthUserRevokeRoleRequest { name: user_name, role: role_text };
            Call::new("etcdserverpb.Auth/UserRevokeRole", &request)
        }
        10 => return role(role_name),
        11 if role_name != "root" => {
            let request = pb::AuthRoleDeleteRequest { role: role_text };
            Call::new("etcdserverpb.Auth/RoleDelete", &request)
        }
        12..15 => {
            let kind = talk.pick(&[0, 1, 2, 2]);
            return permit(role_name, kind, key, range_end);
        }
        15 | 16 => {
            let (key, range_end) = (key.into(), range_end.into());
            let request = pb::AuthRoleRevokePermissionRequest { role: role_text, key, range_end };
            Call::new("etcdserverpb.Auth/RoleRevokePermission", &request)
        }
        17 => Call::new("etcdserverpb.Auth/UserGet", &pb::AuthUserGetRequest { name: user_name }),
        18 => Call::new("etcdserverpb.Auth/RoleGet", &pb::AuthRoleGetRequest { role: role_text }),
        19 => Call { rpc: "etcdserverpb.Auth/UserList", request: Bytes::new() },
        20 => Call { rpc: "etcdserverpb.Auth/RoleList", request: Bytes::new() },
        21 => Call { rpc: "etcdserverpb.Auth/AuthStatus", request: Bytes::new() },
        22 if talk.one_in(3) => {
            Call { rpc: "etcdserverpb.Auth/AuthDisable", request: Bytes::new() }
        }
        _ => return enable(),
    };
    Step::Other(call)
}
