//! Users, tokens and permissions as clients see them.

use std::time::Duration;

use proto::authpb::permission::Type;
use proto::authpb::{Permission, UserAddOptions};
use proto::etcdserverpb as pb;
use services::etcdserverpb::auth_client::AuthClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::support::{Ground, Node, SteppedClock, cluster_with, one_on_with, one_with};

pub(crate) const FLAGS: &str = "--bcrypt-cost 4";

/// Who asks: a token, or nobody.
#[derive(Clone, Default)]
pub(crate) struct As(pub(crate) Option<String>);

impl As {
    pub(crate) fn nobody() -> Self {
        As(None)
    }

    pub(crate) fn token(token: &str) -> Self {
        As(Some(token.to_owned()))
    }

    pub(crate) fn ask<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = &self.0 {
            let token = token.parse().expect("a token is ASCII");
            request.metadata_mut().insert("token", token);
        }
        request
    }
}

pub(crate) fn auth(node: &Node) -> AuthClient<Channel> {
    AuthClient::new(node.channel.clone())
}

pub(crate) async fn login(node: &Node, name: &str) -> As {
    let request = pb::AuthenticateRequest { name: name.to_owned(), password: name.to_owned() };
    let answer = auth(node).authenticate(request).await.expect("the password is right");
    As(Some(answer.into_inner().token))
}

pub(crate) async fn add_user(node: &Node, who: &As, name: &str) {
    let request = pb::AuthUserAddRequest {
        name: name.to_owned(),
        password: name.to_owned(),
        ..Default::default()
    };
    auth(node).user_add(who.ask(request)).await.expect("added");
}

pub(crate) async fn grant(
    node: &Node,
    who: &As,
    (user, kind, key, range_end): (&str, Type, &str, &str),
) {
    let role = format!("{user}-role");
    let request = pb::AuthRoleAddRequest { name: role.clone() };
    let _may_be_there = auth(node).role_add(who.ask(request)).await;
    let perm = Permission {
        perm_type: kind as i32,
        key: key.to_owned().into(),
        range_end: range_end.to_owned().into(),
    };
    let request = pb::AuthRoleGrantPermissionRequest { name: role.clone(), perm: Some(perm) };
    auth(node).role_grant_permission(who.ask(request)).await.expect("granted");
    let request = pb::AuthUserGrantRoleRequest { user: user.to_owned(), role };
    auth(node).user_grant_role(who.ask(request)).await.expect("granted");
}

/// Switches authentication on; the root user's token.
pub(crate) async fn switch_on(node: &Node) -> As {
    let nobody = As::nobody();
    add_user(node, &nobody, "root").await;
    let request = pb::AuthUserGrantRoleRequest { user: "root".into(), role: "root".into() };
    auth(node).user_grant_role(request).await.expect("granted");
    auth(node).auth_enable(pb::AuthEnableRequest {}).await.expect("switched on");
    login(node, "root").await
}

fn put(key: &str) -> pb::PutRequest {
    pb::PutRequest { key: key.to_owned().into(), value: "v".into(), ..Default::default() }
}

fn range(key: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_owned().into(), ..Default::default() }
}

fn text<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    answer.expect_err("refused").message().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_switch_is_told_to_anybody() {
    let node = one_with(FLAGS).await;
    let status = auth(&node).auth_status(pb::AuthStatusRequest {}).await.expect("told");
    let status = status.into_inner();
    assert_eq!((status.enabled, status.auth_revision), (false, 1));
    let refused = text(auth(&node).auth_enable(pb::AuthEnableRequest {}).await);
    assert_eq!(refused, "etcdserver: root user does not exist");
    switch_on(&node).await;
    let status = auth(&node).auth_status(pb::AuthStatusRequest {}).await.expect("told");
    assert!(status.into_inner().enabled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_gives_a_token() {
    let node = one_with(FLAGS).await;
    let ask = |name: &str, password: &str| pb::AuthenticateRequest {
        name: name.to_owned(),
        password: password.to_owned(),
    };
    let off = text(auth(&node).authenticate(ask("root", "root")).await);
    assert_eq!(off, "etcdserver: authentication is not enabled");
    let root = switch_on(&node).await;
    let token = root.0.clone().expect("a token");
    let (letters, index) = token.split_once('.').expect("letters, a dot, an index");
    assert!(letters.len() == 16 && index.parse::<u64>().is_ok(), "{token}");

    let failed = "etcdserver: authentication failed, invalid user ID or password";
    assert_eq!(text(auth(&node).authenticate(ask("root", "wrong")).await), failed);
    assert_eq!(text(auth(&node).authenticate(ask("nobody", "wrong")).await), failed);
    let options = Some(UserAddOptions { no_password: true });
    let request = pb::AuthUserAddRequest { name: "cert".into(), options, ..Default::default() };
    auth(&node).user_add(root.ask(request)).await.expect("added");
    let refused = auth(&node).authenticate(ask("cert", "")).await.expect_err("refused");
    assert_eq!(refused.code(), Code::Unknown);

    node.kv().put(root.ask(put("k"))).await.expect("root may");
    let bearer = |value: String| {
        let mut request = Request::new(range("k"));
        let value = value.parse().expect("ASCII");
        request.metadata_mut().insert("authorization", value);
        request
    };
    node.kv().range(bearer(token.clone())).await.expect("the other name of the token");
    node.kv().range(bearer(format!("Bearer {token}"))).await.expect("with its HTTP word");
    let wrong = text(node.kv().range(As::token("abc.1").ask(range("k"))).await);
    assert_eq!(wrong, "etcdserver: invalid auth token");
    // An index that never comes is not waited for.
    let mut kv = node.kv();
    let future = kv.range(As::token("abcdefghijklmnop.99999999").ask(range("k")));
    let future = tokio::time::timeout(Duration::from_secs(5), future).await.expect("at once");
    assert_eq!(text(future), "etcdserver: invalid auth token");
    assert_eq!(text(node.kv().range(range("k")).await), "etcdserver: user name is empty");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_member_knows_a_token_and_what_its_user_may() {
    let nodes = cluster_with(3, FLAGS).await;
    switch_on(&nodes[0]).await;
    for round in 0..3 {
        for node in &nodes {
            let root = login(node, "root").await;
            for other in &nodes {
                other.kv().put(root.ask(put("k"))).await.expect("known everywhere");
            }
        }
        add_user(&nodes[round], &login(&nodes[2], "root").await, &format!("user-{round}")).await;
        let name = format!("user-{round}");
        let user = login(&nodes[(round + 1) % 3], &name).await;
        let (from, to) = (&nodes[round], &nodes[(round + 2) % 3]);
        assert_eq!(text(to.kv().put(user.ask(put("u"))).await), "etcdserver: permission denied");
        grant(from, &login(from, "root").await, (&name, Type::Write, "u", "")).await;
        to.kv().put(user.ask(put("u"))).await.expect("a grant elsewhere is seen here at once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_end_by_time_and_with_their_user() {
    let clock = std::sync::Arc::new(SteppedClock::default());
    let ground = Ground::new(clock.clone());
    let node = one_on_with(&ground, "--bcrypt-cost 4 --auth-token-ttl 10").await;
    let root = switch_on(&node).await;
    for _ in 0..3 {
        clock.step(Duration::from_secs(9));
        node.kv().range(root.ask(range("k"))).await.expect("use keeps it alive");
    }
    clock.step(Duration::from_secs(11));
    let ended = node.kv().range(root.ask(range("k"))).await;
    assert_eq!(text(ended), "etcdserver: invalid auth token");

    let root = login(&node, "root").await;
    add_user(&node, &root, "ann").await;
    let ann = login(&node, "ann").await;
    node.maintenance().status(ann.ask(pb::StatusRequest {})).await.expect("any user");
    let request = pb::AuthUserChangePasswordRequest {
        name: "ann".into(),
        password: "ann".into(),
        ..Default::default()
    };
    auth(&node).user_change_password(root.ask(request)).await.expect("changed");
    let ended = node.maintenance().status(ann.ask(pb::StatusRequest {})).await;
    assert_eq!(text(ended), "etcdserver: invalid auth token");
    let ann = login(&node, "ann").await;
    let request = pb::AuthUserDeleteRequest { name: "ann".into() };
    auth(&node).user_delete(root.ask(request)).await.expect("deleted");
    let ended = node.maintenance().status(ann.ask(pb::StatusRequest {})).await;
    assert_eq!(text(ended), "etcdserver: invalid auth token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn root_cannot_be_taken_away_while_it_guards() {
    let node = one_with(FLAGS).await;
    let root = switch_on(&node).await;
    let wrong = "etcdserver: invalid auth management";
    let request = pb::AuthUserDeleteRequest { name: "root".into() };
    assert_eq!(text(auth(&node).user_delete(root.ask(request)).await), wrong);
    let request = pb::AuthRoleDeleteRequest { role: "root".into() };
    assert_eq!(text(auth(&node).role_delete(root.ask(request)).await), wrong);
    let request = pb::AuthUserRevokeRoleRequest { name: "root".into(), role: "root".into() };
    assert_eq!(text(auth(&node).user_revoke_role(root.ask(request)).await), wrong);
    auth(&node).auth_disable(root.ask(pb::AuthDisableRequest {})).await.expect("switched off");
    node.kv().put(put("k")).await.expect("open again");
    let request = pb::AuthUserDeleteRequest { name: "root".into() };
    auth(&node).user_delete(request).await.expect("deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_see_themselves_and_their_roles() {
    let node = one_with(FLAGS).await;
    let root = switch_on(&node).await;
    add_user(&node, &root, "ann").await;
    grant(&node, &root, ("ann", Type::Read, "k", "")).await;
    let ann = login(&node, "ann").await;
    let user = |name: &str| pb::AuthUserGetRequest { name: name.to_owned() };
    let role = |role: &str| pb::AuthRoleGetRequest { role: role.to_owned() };
    let own = auth(&node).user_get(ann.ask(user("ann"))).await.expect("itself").into_inner();
    assert_eq!(own.roles, ["ann-role"]);
    let own = auth(&node).role_get(ann.ask(role("ann-role"))).await.expect("its role").into_inner();
    assert_eq!(own.perm.len(), 1);
    let denied = "etcdserver: permission denied";
    assert_eq!(text(auth(&node).user_get(ann.ask(user("root"))).await), denied);
    assert_eq!(text(auth(&node).role_get(ann.ask(role("root"))).await), denied);
    assert_eq!(text(auth(&node).user_list(ann.ask(pb::AuthUserListRequest {})).await), denied);
}
