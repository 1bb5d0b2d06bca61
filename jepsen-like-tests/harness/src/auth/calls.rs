//! Makes the calls of one side, and tells the answers as text that is equal when the answers are.
//!
//! Masked: the ids and the term of headers; tokens, of which only the form is told; what Status,
//! MemberList and leases' times say of each server's own.

use std::collections::BTreeMap;

use anyhow::Result;
use proto::etcdserverpb as pb;
use services::etcdserverpb::auth_client::AuthClient;
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use services::etcdserverpb::watch_client::WatchClient;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::{Ask, Step, Who};
use crate::diff::mask::{self, text};
use crate::diff::masked::form;
use crate::diff::who::FORGED_TOKEN;
use crate::process::{self, Member};

/// One side: a connection to each member, and the tokens its users got.
pub(super) struct Peer {
    channels: Vec<Channel>,
    tokens: BTreeMap<&'static str, String>,
    /// Every token ever given.
    given: Vec<String>,
}

macro_rules! answered {
    ($call:expr) => {
        text($call, |answer| mask::header(&mut answer.header))
    };
    ($call:expr, $mask:expr) => {
        text($call, $mask)
    };
}

impl Peer {
    pub(super) async fn open(members: &[Member]) -> Result<Self> {
        let mut channels = Vec::new();
        for member in members {
            channels.push(process::dial(member.client_url()).await?);
        }
        Ok(Peer { channels, tokens: BTreeMap::new(), given: Vec::new() })
    }

    /// Every token that was given.
    pub(super) fn tokens(&self) -> &[String] {
        &self.given
    }

    /// Whether there are several members.
    pub(super) fn is_cluster(&self) -> bool {
        self.channels.len() > 1
    }

    /// Waits until a member has applied what was answered before: AuthStatus is linearizable.
    pub(super) async fn catch_up(&self, member: usize) -> Result<()> {
        let mut client = AuthClient::new(self.channels[member].clone());
        client.auth_status(pb::AuthStatusRequest {}).await?;
        Ok(())
    }

    fn request<T>(&self, who: Who, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let token = match who {
            Who::Nobody => None,
            Who::Forged => Some(FORGED_TOKEN),
            // Nobody here keeps an older token, and the runner has none of its own.
            Who::Stale(_) | Who::Keeper => None,
            Who::User(name) => self.tokens.get(name).map(String::as_str),
        };
        if let Some(token) = token.and_then(|token| token.parse().ok()) {
            request.metadata_mut().insert("token", token);
        }
        request
    }

    /// The answer, as text.
    pub(super) async fn answer(&mut self, step: &Step) -> Result<String> {
        let channel = self.channels[step.member].clone();
        Ok(match &step.ask {
            Ask::Authenticate(name, password) => self.authenticate(channel, name, password).await,
            Ask::AuthEnable
            | Ask::AuthDisable
            | Ask::AuthStatus
            | Ask::UserAdd(_)
            | Ask::UserGet(_)
            | Ask::UserList
            | Ask::UserDelete(_)
            | Ask::UserChangePassword(_)
            | Ask::UserGrantRole(..)
            | Ask::UserRevokeRole(..) => self.users(AuthClient::new(channel), step).await,
            Ask::RoleAdd(_)
            | Ask::RoleGet(_)
            | Ask::RoleList
            | Ask::RoleDelete(_)
            | Ask::RoleGrantPermission(_)
            | Ask::RoleRevokePermission(_) => self.roles(AuthClient::new(channel), step).await,
            Ask::LeaseGrant(_)
            | Ask::LeaseRevoke(_)
            | Ask::LeaseKeepAlive(_)
            | Ask::LeaseTimeToLive(..)
            | Ask::LeaseLeases => self.leases(LeaseClient::new(channel), step).await,
            Ask::Watch(create) => self.watch(channel, step.who, create).await,
            Ask::Status
            | Ask::MemberList
            | Ask::MemberRemove
            | Ask::Alarm(_)
            | Ask::HashKv
            | Ask::Defragment
            | Ask::MoveLeader => self.members(channel, step).await,
            _ => self.keys(KvClient::new(channel), step).await,
        })
    }

    async fn authenticate(
        &mut self,
        channel: Channel,
        name: &'static str,
        password: &str,
    ) -> String {
        let request =
            pb::AuthenticateRequest { name: name.to_owned(), password: password.to_owned() };
        let answer = AuthClient::new(channel).authenticate(request).await;
        if let Ok(answer) = &answer {
            let token = answer.get_ref().token.clone();
            self.tokens.insert(name, token.clone());
            self.given.push(token);
        }
        answered!(answer, |answer| {
            mask::header(&mut answer.header);
            answer.token = form(&answer.token);
        })
    }

    async fn users(&self, mut auth: AuthClient<Channel>, step: &Step) -> String {
        let who = step.who;
        match &step.ask {
            Ask::AuthEnable => {
                answered!(auth.auth_enable(self.request(who, pb::AuthEnableRequest {})).await)
            }
            Ask::AuthDisable => {
                answered!(auth.auth_disable(self.request(who, pb::AuthDisableRequest {})).await)
            }
            Ask::UserAdd(request) => {
                answered!(auth.user_add(self.request(who, request.clone())).await)
            }
            Ask::UserGet(name) => {
                let request = pb::AuthUserGetRequest { name: (*name).to_owned() };
                answered!(auth.user_get(self.request(who, request)).await)
            }
            Ask::UserList => {
                answered!(auth.user_list(self.request(who, pb::AuthUserListRequest {})).await)
            }
            Ask::UserDelete(name) => {
                let request = pb::AuthUserDeleteRequest { name: (*name).to_owned() };
                answered!(auth.user_delete(self.request(who, request)).await)
            }
            Ask::UserChangePassword(request) => {
                answered!(auth.user_change_password(self.request(who, request.clone())).await)
            }
            Ask::UserGrantRole(user, role) => {
                let (user, role) = ((*user).to_owned(), (*role).to_owned());
                let request = pb::AuthUserGrantRoleRequest { user, role };
                answered!(auth.user_grant_role(self.request(who, request)).await)
            }
            Ask::UserRevokeRole(name, role) => {
                let (name, role) = ((*name).to_owned(), (*role).to_owned());
                let request = pb::AuthUserRevokeRoleRequest { name, role };
                answered!(auth.user_revoke_role(self.request(who, request)).await)
            }
            _ => answered!(auth.auth_status(self.request(who, pb::AuthStatusRequest {})).await),
        }
    }

    async fn roles(&self, mut auth: AuthClient<Channel>, step: &Step) -> String {
        let who = step.who;
        match &step.ask {
            Ask::RoleAdd(name) => {
                let request = pb::AuthRoleAddRequest { name: (*name).to_owned() };
                answered!(auth.role_add(self.request(who, request)).await)
            }
            Ask::RoleGet(role) => {
                let request = pb::AuthRoleGetRequest { role: (*role).to_owned() };
                answered!(auth.role_get(self.request(who, request)).await)
            }
            Ask::RoleDelete(role) => {
                let request = pb::AuthRoleDeleteRequest { role: (*role).to_owned() };
                answered!(auth.role_delete(self.request(who, request)).await)
            }
            Ask::RoleGrantPermission(request) => {
                answered!(auth.role_grant_permission(self.request(who, request.clone())).await)
            }
            Ask::RoleRevokePermission(request) => {
                answered!(auth.role_revoke_permission(self.request(who, request.clone())).await)
            }
            _ => answered!(auth.role_list(self.request(who, pb::AuthRoleListRequest {})).await),
        }
    }

    async fn keys(&self, mut kv: KvClient<Channel>, step: &Step) -> String {
        let who = step.who;
        match &step.ask {
            Ask::Put(request) => answered!(kv.put(self.request(who, request.clone())).await),
            Ask::Delete(request) => {
                answered!(kv.delete_range(self.request(who, request.clone())).await)
            }
            Ask::Txn(request) => {
                answered!(kv.txn(self.request(who, request.clone())).await, mask::txn)
            }
            Ask::Compact(revision) => {
                let request = pb::CompactionRequest { revision: *revision, physical: false };
                answered!(kv.compact(self.request(who, request)).await)
            }
            Ask::RangeStream(request) => {
                let pieces = kv.range_stream(self.request(who, request.clone())).await;
                let first = match pieces {
                    Ok(pieces) => pieces.into_inner().message().await,
                    Err(status) => Err(status),
                };
                let first = first.map(|piece| piece.and_then(|piece| piece.range_response));
                answered!(first.map(|piece| Response::new(piece.unwrap_or_default())))
            }
            Ask::Range(request) => answered!(kv.range(self.request(who, request.clone())).await),
            other => format!("{other:?} is no call on keys"),
        }
    }

    async fn leases(&self, mut lease: LeaseClient<Channel>, step: &Step) -> String {
        let who = step.who;
        match step.ask {
            Ask::LeaseGrant(id) => {
                let request = pb::LeaseGrantRequest { id, ttl: 6000 };
                answered!(lease.lease_grant(self.request(who, request)).await)
            }
            Ask::LeaseRevoke(id) => {
                let request = pb::LeaseRevokeRequest { id };
                answered!(lease.lease_revoke(self.request(who, request)).await)
            }
            Ask::LeaseKeepAlive(id) => {
                let requests = tokio_stream::once(pb::LeaseKeepAliveRequest { id });
                let stream = lease.lease_keep_alive(self.request(who, requests)).await;
                let first = first_of(stream).await;
                answered!(first)
            }
            Ask::LeaseTimeToLive(id, keys) => {
                let request = pb::LeaseTimeToLiveRequest { id, keys };
                let answer = lease.lease_time_to_live(self.request(who, request)).await;
                answered!(answer, mask::time_to_live)
            }
            _ => {
                let request = self.request(who, pb::LeaseLeasesRequest {});
                answered!(lease.lease_leases(request).await, mask::leases)
            }
        }
    }

    async fn members(&self, channel: Channel, step: &Step) -> String {
        let who = step.who;
        let mut maintenance = MaintenanceClient::new(channel.clone());
        let mut cluster = ClusterClient::new(channel);
        match &step.ask {
            Ask::Status => told(maintenance.status(self.request(who, pb::StatusRequest {})).await),
            Ask::MemberList => {
                let request = pb::MemberListRequest { linearizable: true };
                told(cluster.member_list(self.request(who, request)).await)
            }
            Ask::MemberRemove => {
                let request = self.request(who, pb::MemberRemoveRequest { id: 12_345 });
                kept_out(cluster.member_remove(request).await)
            }
            Ask::Alarm(request) => {
                answered!(maintenance.alarm(self.request(who, *request)).await)
            }
            Ask::HashKv => {
                let request = self.request(who, pb::HashKvRequest { revision: 0 });
                answered!(maintenance.hash_kv(request).await)
            }
            Ask::Defragment => {
                told(maintenance.defragment(self.request(who, pb::DefragmentRequest {})).await)
            }
            _ => {
                let request = pb::MoveLeaderRequest { target_id: 12_345 };
                kept_out(maintenance.move_leader(self.request(who, request)).await)
            }
        }
    }

    async fn watch(&self, channel: Channel, who: Who, create: &pb::WatchCreateRequest) -> String {
        let union = Some(pb::watch_request::RequestUnion::CreateRequest(create.clone()));
        let request = pb::WatchRequest { request_union: union };
        // Open until the first answer: etcd ends a stream that its client is done with.
        let requests =
            tokio_stream::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
        let stream = WatchClient::new(channel).watch(self.request(who, requests)).await;
        let first = first_of(stream).await;
        answered!(first)
    }
}

async fn first_of<T>(
    stream: Result<Response<tonic::Streaming<T>>, Status>,
) -> Result<Response<T>, Status> {
    match stream?.into_inner().message().await? {
        Some(answer) => Ok(Response::new(answer)),
        None => Err(Status::unknown("the stream ended without an answer")),
    }
}

/// Whether a call was answered; the answer is each server's own.
fn told<T>(answer: Result<Response<T>, Status>) -> String {
    match answer {
        Ok(_) => "answered".to_owned(),
        Err(status) => format!("error {:?}: {}", status.code(), status.message()),
    }
}

/// Whether the caller was let in to a call that fails anyhow.
fn kept_out<T>(answer: Result<Response<T>, Status>) -> String {
    let message = answer.err().map(|status| status.message().to_owned()).unwrap_or_default();
    let refusals = ["user name", "auth token", "permission denied", "auth store"];
    match refusals.iter().any(|refusal| message.contains(refusal)) {
        true => message,
        false => "let in".to_owned(),
    }
}
