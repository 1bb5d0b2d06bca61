//! Rows 27 to 34: users, members, compaction, hashes, snapshots, leadership, locks and elections
//! asked for what cannot be done, with the exact answer of both servers.
//!
//! Invariants: the cases build on one another, on two fresh members; what is refused leaves pairs,
//! leases, members, users and roles as they were.
//!
//! Must not know: how a server decides.

use anyhow::{Context as _, Result};
use proto::authpb::Permission;
use proto::etcdserverpb as pb;
use proto::{v3electionpb, v3lockpb};
use services::etcdserverpb::auth_client::AuthClient;
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use services::v3electionpb::election_client::ElectionClient;
use services::v3lockpb::lock_client::LockClient;
use tonic::Status;
use tonic::transport::Channel;

use super::Outcome;
use crate::process::dial;

/// One request.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Enable,
    AddUser(&'static str),
    DeleteUser(&'static str),
    AddRole(&'static str),
    DeleteRole(&'static str),
    /// A role, and the range it may read.
    Grant(&'static str, &'static str, &'static str),
    /// A user, and a role.
    GrantRole(&'static str, &'static str),
    AddMember(&'static str, bool),
    AddOwnUrl,
    Remove(Whom),
    Promote(Whom),
    Update(Whom, &'static str),
    UpdateToOwnUrl(Whom),
    MoveLeader(Whom),
    /// At this far from the newest revision.
    Compact(i64),
    CompactAt(i64),
    HashKvAt(i64),
    HashKvAhead(i64),
    DefragmentTwice,
    Lock(&'static str, i64),
    Unlock(&'static str),
    Campaign(&'static str, i64),
    Proclaim,
    Resign,
    ResignNothing,
    Leader(&'static str),
}

/// Which member a request names.
#[derive(Debug, Clone, Copy)]
enum Whom {
    Own,
    Learner,
    Nobody,
}

/// A member that was never there.
const NOBODY: u64 = 0x1234;
/// Where nobody listens.
const LEARNER_URL: &str = "http://127.0.0.1:1";

/// Row, name, request, the answer of both.
type Case = (u8, &'static str, Ask, &'static str);

const OK: &str = "ok";
const NOT_FOUND: &str = "NotFound: etcdserver: member not found";
const NO_LEASE: &str = "Unknown: etcdserver: requested lease not found";
const BAD_TRANSFEREE: &str = "FailedPrecondition: etcdserver: bad leader transferee";
const COMPACTED: &str = "OutOfRange: etcdserver: mvcc: required revision has been compacted";
const FUTURE: &str = "OutOfRange: etcdserver: mvcc: required revision is a future revision";

const CASES: &[Case] = &[
    (
        27,
        "authentication switched on without root",
        Ask::Enable,
        "FailedPrecondition: etcdserver: root user does not exist",
    ),
    (27, "root is made", Ask::AddUser("root"), OK),
    (
        27,
        "authentication switched on while root has no root role",
        Ask::Enable,
        "FailedPrecondition: etcdserver: root user does not have root role",
    ),
    (
        27,
        "a user made twice",
        Ask::AddUser("root"),
        "FailedPrecondition: etcdserver: user name already exists",
    ),
    (
        27,
        "a user without a name",
        Ask::AddUser(""),
        "InvalidArgument: etcdserver: user name is empty",
    ),
    (27, "a role made", Ask::AddRole("r"), OK),
    (
        27,
        "a role made twice",
        Ask::AddRole("r"),
        "FailedPrecondition: etcdserver: role name already exists",
    ),
    (
        27,
        "a role without a name",
        Ask::AddRole(""),
        "InvalidArgument: etcdserver: role name is empty",
    ),
    (
        27,
        "an empty range granted",
        Ask::Grant("r", "b", "a"),
        "InvalidArgument: etcdserver: invalid auth management",
    ),
    (
        27,
        "a range of nothing granted",
        Ask::Grant("r", "b", "b"),
        "InvalidArgument: etcdserver: invalid auth management",
    ),
    (
        27,
        "a permission for nobody",
        Ask::Grant("none", "a", ""),
        "FailedPrecondition: etcdserver: role name not found",
    ),
    (
        27,
        "a role that is no role given to a user",
        Ask::GrantRole("root", "none"),
        "FailedPrecondition: etcdserver: role name not found",
    ),
    (
        27,
        "a role given to nobody",
        Ask::GrantRole("none", "r"),
        "FailedPrecondition: etcdserver: user name not found",
    ),
    (
        27,
        "nobody deleted",
        Ask::DeleteUser("none"),
        "FailedPrecondition: etcdserver: user name not found",
    ),
    (
        27,
        "a role that is no role deleted",
        Ask::DeleteRole("none"),
        "FailedPrecondition: etcdserver: role name not found",
    ),
    (
        28,
        "a member with no URL",
        Ask::AddMember("", false),
        "InvalidArgument: etcdserver: given member URLs are invalid",
    ),
    (
        28,
        "a member with a URL that is none",
        Ask::AddMember("nonsense", false),
        "InvalidArgument: etcdserver: given member URLs are invalid",
    ),
    (
        28,
        "a member with a path in its URL",
        Ask::AddMember("http://127.0.0.1:1/x", false),
        "InvalidArgument: etcdserver: given member URLs are invalid",
    ),
    (
        28,
        "a member at the URL of another",
        Ask::AddOwnUrl,
        "FailedPrecondition: etcdserver: Peer URLs already exists",
    ),
    (
        28,
        "a voter promoted",
        Ask::Promote(Whom::Own),
        "FailedPrecondition: etcdserver: can only promote a learner member",
    ),
    (28, "nobody promoted", Ask::Promote(Whom::Nobody), NOT_FOUND),
    (28, "nobody removed", Ask::Remove(Whom::Nobody), NOT_FOUND),
    (28, "nobody updated", Ask::Update(Whom::Nobody, LEARNER_URL), NOT_FOUND),
    (28, "a learner added", Ask::AddMember(LEARNER_URL, true), OK),
    (
        28,
        "a learner that does not run promoted",
        Ask::Promote(Whom::Learner),
        "FailedPrecondition: etcdserver: can only promote a learner member which is in sync with leader",
    ),
    (
        28,
        "a learner moved to the URL of another",
        Ask::UpdateToOwnUrl(Whom::Learner),
        "FailedPrecondition: etcdserver: Peer URLs already exists",
    ),
    (
        28,
        "one learner too many",
        Ask::AddMember("http://127.0.0.1:2", true),
        "FailedPrecondition: etcdserver: too many learner members in cluster",
    ),
    (33, "leadership moved to a learner", Ask::MoveLeader(Whom::Learner), BAD_TRANSFEREE),
    (33, "leadership moved to nobody", Ask::MoveLeader(Whom::Nobody), BAD_TRANSFEREE),
    (28, "the learner removed", Ask::Remove(Whom::Learner), OK),
    (28, "a removed member removed again", Ask::Remove(Whom::Learner), NOT_FOUND),
    (29, "compaction beyond the newest revision", Ask::Compact(1), FUTURE),
    (29, "compaction at the newest revision", Ask::Compact(0), OK),
    (29, "compaction twice", Ask::Compact(0), COMPACTED),
    (29, "compaction at revision 0", Ask::CompactAt(0), COMPACTED),
    (30, "a hash of a compacted revision", Ask::HashKvAt(3), COMPACTED),
    (30, "a hash of the future", Ask::HashKvAhead(1000), FUTURE),
    (32, "two defragmentations at once", Ask::DefragmentTwice, OK),
    (34, "a lock under a lease that is gone", Ask::Lock("l", 4711), NO_LEASE),
    (34, "an unlock of nothing", Ask::Unlock("nothing"), OK),
    (34, "a campaign under a lease that is gone", Ask::Campaign("e", 4711), NO_LEASE),
    (34, "an election won", Ask::Campaign("e", 78), OK),
    (34, "a resignation", Ask::Resign, OK),
    (34, "a resignation twice", Ask::Resign, OK),
    (34, "a word of one who leads no more", Ask::Proclaim, "Unknown: election: not leader"),
    (
        34,
        "a resignation from nothing",
        Ask::ResignNothing,
        "Unknown: \"leader\" field must be provided",
    ),
    (34, "the leader of nothing", Ask::Leader("nobody"), "Unknown: election: no leader"),
];

/// One server, as these requests meet it.
struct Side {
    name: &'static str,
    auth: AuthClient<Channel>,
    cluster: ClusterClient<Channel>,
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    maintenance: MaintenanceClient<Channel>,
    lock: LockClient<Channel>,
    election: ElectionClient<Channel>,
    own: pb::Member,
    learner: u64,
    leader: Option<v3electionpb::LeaderKey>,
}

/// Asks both servers for all of it.
pub(super) async fn run(etcd: &str, engram: &str, outcome: &mut Outcome) -> Result<()> {
    let mut sides = [Side::open("etcd", etcd).await?, Side::open("engram", engram).await?];
    for side in &mut sides {
        for value in ["1", "2", "3"] {
            let put = pb::PutRequest { key: "a".into(), value: value.into(), ..Default::default() };
            side.kv.put(put).await?;
        }
        side.lease.lease_grant(pb::LeaseGrantRequest { id: 78, ttl: 6000 }).await?;
    }
    for (row, name, ask, expected) in CASES {
        for side in &mut sides {
            let before = side.state().await?;
            let told = side.answer(*ask).await;
            let told = told.map_or_else(|error| error_text(&error), |()| OK.to_owned());
            let unchanged = *expected == OK || side.state().await? == before;
            let held = if told != *expected {
                Err(format!("{}: expected {expected}, got {told}", side.name))
            } else if unchanged {
                Ok(())
            } else {
                Err(format!("{}: it was refused and changed something", side.name))
            };
            outcome.check(*row, name, held);
        }
    }
    for side in &mut sides {
        let held = side.cancelled_snapshots().await;
        let held = held.map_err(|error| format!("{}: {error:#}", side.name));
        outcome.check(31, "a snapshot given up in its midst, twenty times", held);
    }
    Ok(())
}

fn error_text(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

impl Side {
    async fn open(name: &'static str, url: &str) -> Result<Self> {
        let channel = dial(url).await?;
        let mut cluster = ClusterClient::new(channel.clone());
        let list = cluster.member_list(pb::MemberListRequest::default()).await?.into_inner();
        Ok(Side {
            name,
            auth: AuthClient::new(channel.clone()),
            cluster,
            kv: KvClient::new(channel.clone()),
            lease: LeaseClient::new(channel.clone()),
            maintenance: MaintenanceClient::new(channel.clone()),
            lock: LockClient::new(channel.clone()),
            election: ElectionClient::new(channel),
            own: list.members.into_iter().next().context("a member list without a member")?,
            learner: 0,
            leader: None,
        })
    }

    /// Pairs, leases, members, users and roles, as text.
    async fn state(&mut self) -> Result<String> {
        let hash = self.maintenance.hash_kv(pb::HashKvRequest::default()).await?.into_inner();
        let leases = self.lease.lease_leases(pb::LeaseLeasesRequest {}).await?.into_inner();
        let list = self.cluster.member_list(pb::MemberListRequest::default()).await?.into_inner();
        let users = self.auth.user_list(pb::AuthUserListRequest {}).await?.into_inner();
        let roles = self.auth.role_list(pb::AuthRoleListRequest {}).await?.into_inner();
        let status = self.auth.auth_status(pb::AuthStatusRequest {}).await?.into_inner();
        Ok(format!(
            "{} {} {:?} {:?} {:?} {:?} {}",
            hash.hash,
            hash.hash_revision,
            leases.leases,
            list.members,
            users.users,
            roles.roles,
            status.auth_revision
        ))
    }

    fn id(&self, whom: Whom) -> u64 {
        match whom {
            Whom::Own => self.own.id,
            Whom::Learner => self.learner,
            Whom::Nobody => NOBODY,
        }
    }

    async fn revision(&mut self) -> Result<i64, Status> {
        let answer = self.kv.range(pb::RangeRequest { key: "a".into(), ..Default::default() });
        Ok(answer.await?.into_inner().header.map_or(0, |header| header.revision))
    }

    async fn answer(&mut self, ask: Ask) -> Result<(), Status> {
        match ask {
            Ask::Enable
            | Ask::AddUser(_)
            | Ask::DeleteUser(_)
            | Ask::AddRole(_)
            | Ask::DeleteRole(_)
            | Ask::Grant(..)
            | Ask::GrantRole(..) => self.ask_auth(ask).await,
            Ask::AddMember(..)
            | Ask::AddOwnUrl
            | Ask::Remove(_)
            | Ask::Promote(_)
            | Ask::Update(..)
            | Ask::UpdateToOwnUrl(_) => self.ask_cluster(ask).await,
            Ask::Lock(..)
            | Ask::Unlock(_)
            | Ask::Campaign(..)
            | Ask::Proclaim
            | Ask::Resign
            | Ask::ResignNothing
            | Ask::Leader(_) => self.ask_coordination(ask).await,
            _ => self.ask_maintenance(ask).await,
        }
    }

    async fn ask_auth(&mut self, ask: Ask) -> Result<(), Status> {
        let text = str::to_owned;
        match ask {
            Ask::Enable => self.auth.auth_enable(pb::AuthEnableRequest {}).await.map(drop),
            Ask::AddUser(name) => {
                let password = if name.is_empty() { String::new() } else { text("a password") };
                let add =
                    pb::AuthUserAddRequest { name: text(name), password, ..Default::default() };
                self.auth.user_add(add).await.map(drop)
            }
            Ask::DeleteUser(name) => {
                let delete = pb::AuthUserDeleteRequest { name: text(name) };
                self.auth.user_delete(delete).await.map(drop)
            }
            Ask::AddRole(name) => {
                self.auth.role_add(pb::AuthRoleAddRequest { name: text(name) }).await.map(drop)
            }
            Ask::DeleteRole(name) => {
                let delete = pb::AuthRoleDeleteRequest { role: text(name) };
                self.auth.role_delete(delete).await.map(drop)
            }
            Ask::Grant(role, key, range_end) => {
                let (key, range_end) = (key.into(), range_end.into());
                let perm = Some(Permission { perm_type: 0, key, range_end });
                let grant = pb::AuthRoleGrantPermissionRequest { name: text(role), perm };
                self.auth.role_grant_permission(grant).await.map(drop)
            }
            Ask::GrantRole(user, role) => {
                let grant = pb::AuthUserGrantRoleRequest { user: text(user), role: text(role) };
                self.auth.user_grant_role(grant).await.map(drop)
            }
            other => Err(Status::unknown(format!("{other:?} is asked elsewhere"))),
        }
    }

    async fn ask_cluster(&mut self, ask: Ask) -> Result<(), Status> {
        let own_urls = self.own.peer_urls.clone();
        match ask {
            Ask::AddMember(url, is_learner) => {
                let peer_urls = if url.is_empty() { Vec::new() } else { vec![url.to_owned()] };
                let add = pb::MemberAddRequest { peer_urls, is_learner };
                let added = self.cluster.member_add(add).await?.into_inner();
                self.learner = added.member.map_or(0, |member| member.id);
                Ok(())
            }
            Ask::AddOwnUrl => {
                let add = pb::MemberAddRequest { peer_urls: own_urls, is_learner: false };
                self.cluster.member_add(add).await.map(drop)
            }
            Ask::Remove(whom) => {
                let remove = pb::MemberRemoveRequest { id: self.id(whom) };
                self.cluster.member_remove(remove).await.map(drop)
            }
            Ask::Promote(whom) => {
                let promote = pb::MemberPromoteRequest { id: self.id(whom) };
                self.cluster.member_promote(promote).await.map(drop)
            }
            Ask::Update(whom, url) => {
                let update =
                    pb::MemberUpdateRequest { id: self.id(whom), peer_urls: vec![url.to_owned()] };
                self.cluster.member_update(update).await.map(drop)
            }
            Ask::UpdateToOwnUrl(whom) => {
                let update = pb::MemberUpdateRequest { id: self.id(whom), peer_urls: own_urls };
                self.cluster.member_update(update).await.map(drop)
            }
            other => Err(Status::unknown(format!("{other:?} is asked elsewhere"))),
        }
    }

    async fn ask_maintenance(&mut self, ask: Ask) -> Result<(), Status> {
        match ask {
            Ask::MoveLeader(whom) => {
                let move_to = pb::MoveLeaderRequest { target_id: self.id(whom) };
                self.maintenance.move_leader(move_to).await.map(drop)
            }
            Ask::Compact(ahead) => {
                let revision = self.revision().await? + ahead;
                let compact = pb::CompactionRequest { revision, physical: true };
                self.kv.compact(compact).await.map(drop)
            }
            Ask::CompactAt(revision) => {
                let compact = pb::CompactionRequest { revision, physical: false };
                self.kv.compact(compact).await.map(drop)
            }
            Ask::HashKvAt(revision) => {
                self.maintenance.hash_kv(pb::HashKvRequest { revision }).await.map(drop)
            }
            Ask::HashKvAhead(ahead) => {
                let revision = self.revision().await? + ahead;
                self.maintenance.hash_kv(pb::HashKvRequest { revision }).await.map(drop)
            }
            Ask::DefragmentTwice => {
                let (mut one, mut two) = (self.maintenance.clone(), self.maintenance.clone());
                let (one, two) = tokio::join!(
                    one.defragment(pb::DefragmentRequest {}),
                    two.defragment(pb::DefragmentRequest {})
                );
                one.and(two).map(drop)
            }
            other => Err(Status::unknown(format!("{other:?} is asked elsewhere"))),
        }
    }

    async fn ask_coordination(&mut self, ask: Ask) -> Result<(), Status> {
        let leader = || self.leader.clone();
        match ask {
            Ask::Lock(name, lease) => {
                let lock = v3lockpb::LockRequest { name: name.into(), lease };
                self.lock.lock(lock).await.map(drop)
            }
            Ask::Unlock(key) => {
                let unlock = v3lockpb::UnlockRequest { key: key.into() };
                self.lock.unlock(unlock).await.map(drop)
            }
            Ask::Campaign(name, lease) => {
                let (name, value) = (name.into(), "x".into());
                let campaign = v3electionpb::CampaignRequest { name, lease, value };
                let won = self.election.campaign(campaign).await?.into_inner();
                self.leader = won.leader;
                Ok(())
            }
            Ask::Proclaim => {
                let word = v3electionpb::ProclaimRequest { leader: leader(), value: "y".into() };
                self.election.proclaim(word).await.map(drop)
            }
            Ask::Resign => {
                let resign = v3electionpb::ResignRequest { leader: leader() };
                self.election.resign(resign).await.map(drop)
            }
            Ask::ResignNothing => {
                let resign = v3electionpb::ResignRequest { leader: None };
                self.election.resign(resign).await.map(drop)
            }
            Ask::Leader(name) => {
                let ask = v3electionpb::LeaderRequest { name: name.into() };
                self.election.leader(ask).await.map(drop)
            }
            other => Err(Status::unknown(format!("{other:?} is asked elsewhere"))),
        }
    }

    /// Begins snapshots and goes away, more often than may be made at a time; then one is whole.
    async fn cancelled_snapshots(&mut self) -> Result<()> {
        for _ in 0..20 {
            let mut pieces = self.maintenance.snapshot(pb::SnapshotRequest {}).await?.into_inner();
            pieces.message().await?.context("the first piece")?;
        }
        let mut pieces = self.maintenance.snapshot(pb::SnapshotRequest {}).await?.into_inner();
        let (mut bytes, mut remaining) = (0, 0);
        while let Some(piece) = pieces.message().await? {
            bytes += piece.blob.len();
            remaining = piece.remaining_bytes;
        }
        anyhow::ensure!(remaining == 0 && bytes > 8192, "{bytes} bytes, {remaining} remain");
        Ok(())
    }
}
