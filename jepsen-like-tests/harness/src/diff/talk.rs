//! Draws whole turns: who asks which member for what, over every RPC there is.
//!
//! Requests on keys, leases and watches come from the [`Generator`]; the rest is drawn here and in
//! `people`.
//!
//! Invariants: the same seed, plan and answers give the same turns. Members are named by their
//! numbers, see `super::names`. A conversation with authentication off never has a user `root`,
//! so that nothing switches it on.
//!
//! Must not know: how turns are sent or compared.

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message as _;
use proto::etcdserverpb as pb;
use proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, ProclaimRequest, ResignRequest,
};
use proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::call::{ADDED, Call, MEMBER};
use super::generate::{Generator, Move, Place, Position, Step};
use super::people;
use super::who::{USERS, Who, password};

/// What a conversation is held with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Members of each cluster: 1 or 3.
    pub members: usize,
    /// Whether authentication is on.
    pub auth: bool,
    /// Whether the gateway's JSON is spoken instead of gRPC.
    pub json: bool,
    /// Keys, leases and watches alone, drawn as if there was nothing else.
    pub keys_only: bool,
    /// Whether every turn is printed with its answer.
    pub trace: bool,
}

/// One step by somebody, asked of one of the members.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Who asks.
    pub who: Who,
    /// The member's number.
    pub member: usize,
    /// What is asked.
    pub step: Step,
}

/// Draws turns from a seed.
#[derive(Debug)]
pub struct Talk {
    plan: Plan,
    generator: Generator,
    pub(super) random: ChaCha8Rng,
    /// What comes before anything is drawn.
    next: VecDeque<(Who, Step)>,
    auth_enabled: bool,
    alarms: Vec<(u64, i32)>,
    locks: Vec<Bytes>,
    leaders: Vec<LeaderKey>,
    /// The URL of the member that was added, while it is there.
    added: Option<String>,
    urls_drawn: u32,
}

/// Locks and elections.
const QUEUES: [&str; 3] = ["lock", "elect", "f"];

impl Talk {
    /// The conversation of this seed.
    #[must_use]
    pub fn new(seed: u64, plan: Plan) -> Self {
        let next = if plan.auth { people::prelude() } else { VecDeque::new() };
        Self {
            plan,
            generator: Generator::new(seed),
            // Not the generator's own: they would draw the same numbers.
            random: ChaCha8Rng::seed_from_u64(seed ^ 0x7a1c),
            next,
            auth_enabled: false,
            alarms: Vec::new(),
            locks: Vec::new(),
            leaders: Vec::new(),
            added: None,
            urls_drawn: 0,
        }
    }

    /// Whether every turn is printed.
    #[must_use]
    pub fn traces(&self) -> bool {
        self.plan.trace
    }

    /// The next turn.
    pub fn turn(&mut self, at: Position) -> Turn {
        if self.plan.keys_only {
            let member = self.below(self.plan.members);
            return Turn { who: Who::Nobody, member, step: self.generator.step(at) };
        }
        let member = self.below(self.plan.members);
        let (who, step) = match self.next.pop_front() {
            Some(next) => next,
            None => self.drawn(at),
        };
        Turn { who, member, step }
    }

    fn drawn(&mut self, at: Position) -> (Who, Step) {
        if !self.alarms.is_empty() && self.one_in(4) {
            return (Who::User("root"), self.disarm());
        }
        if self.plan.auth && !self.auth_enabled && self.one_in(10) {
            return (Who::Nobody, people::enable());
        }
        match self.below(100) {
            0..60 => {
                let mut step = self.generator.step(at);
                if self.plan.auth {
                    put_upright(&mut step);
                }
                let who = self.asking_for(&step);
                (who, step)
            }
            60..70 => (self.anybody(), self.coordination()),
            70..75 => (self.administrator(), self.members()),
            75..83 => (self.administrator(), self.maintenance()),
            83..88 => (self.anybody(), self.watch_once()),
            88..92 => (Who::Nobody, self.login()),
            _ => {
                let with_root = self.plan.auth;
                (self.administrator(), people::administration(self, with_root))
            }
        }
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound)
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn anybody(&mut self) -> Who {
        if !self.plan.auth {
            return if self.one_in(30) { Who::Forged } else { Who::Nobody };
        }
        match self.below(24) {
            0 => Who::Nobody,
            1 => Who::Forged,
            2 => Who::Stale(self.pick(&USERS)),
            3..12 => Who::User("root"),
            _ => Who::User(self.pick(&USERS)),
        }
    }

    fn administrator(&mut self) -> Who {
        if self.plan.auth && !self.one_in(6) { Who::User("root") } else { self.anybody() }
    }

    fn asking_for(&mut self, step: &Step) -> Who {
        match step {
            Step::Compact(_) | Step::HashKv(_) => self.administrator(),
            _ => self.anybody(),
        }
    }

    fn login(&mut self) -> Step {
        let user = self.pick(&USERS);
        let wrong = self.one_in(6);
        Step::Login(user, if wrong { "wrong".to_owned() } else { password(user) })
    }

    fn watch_once(&mut self) -> Step {
        let key = self.pick(&["a", "b", "d", "h", "lock"]);
        let create = pb::WatchCreateRequest {
            key: key.into(),
            range_end: self.pick(&["", "", "z", "\0"]).into(),
            start_revision: self.pick(&[0, 0, 0, 1, -1]),
            progress_notify: self.one_in(3),
            ..Default::default()
        };
        let union = Some(pb::watch_request::RequestUnion::CreateRequest(create));
        let request = pb::WatchRequest { request_union: union };
        Step::Other(Call::new("etcdserverpb.Watch/Watch", &request))
    }

    fn lease(&mut self) -> i64 {
        self.pick(&[1, 2, 3, 4, 5, 6, 7, 8, 9999])
    }

    fn coordination(&mut self) -> Step {
        let name = self.pick(&QUEUES);
        let lease = self.lease();
        let queue = format!("{name}/").into_bytes();
        let place = Place { queue, key: format!("{name}/{lease:x}").into_bytes() };
        match self.below(12) {
            0..3 => {
                let request = LockRequest { name: name.into(), lease };
                Step::Queue(Call::new("v3lockpb.Lock/Lock", &request), place)
            }
            3 => {
                let key = match self.below(self.locks.len() + 1) {
                    0 => Bytes::from_static(b"lock/nobody"),
                    number => self.locks[number - 1].clone(),
                };
                Step::Other(Call::new("v3lockpb.Lock/Unlock", &UnlockRequest { key }))
            }
            4..7 => {
                let value = self.pick(&["one", "two", ""]).into();
                let request = CampaignRequest { name: name.into(), lease, value };
                Step::Queue(Call::new("v3electionpb.Election/Campaign", &request), place)
            }
            7 | 8 => {
                let value = self.pick(&["three", "four"]).into();
                let request = ProclaimRequest { leader: self.leader(), value };
                Step::Other(Call::new("v3electionpb.Election/Proclaim", &request))
            }
            9 => {
                let request = ResignRequest { leader: self.leader() };
                Step::Other(Call::new("v3electionpb.Election/Resign", &request))
            }
            10 => {
                let request = LeaderRequest { name: name.into() };
                Step::Other(Call::new("v3electionpb.Election/Leader", &request))
            }
            _ => Step::Observe(LeaderRequest { name: name.into() }),
        }
    }

    /// Somebody who led at some time, or nobody.
    fn leader(&mut self) -> Option<LeaderKey> {
        let newest = self.leaders.len().checked_sub(1)?;
        match self.below(10) {
            0 => None,
            1..4 => {
                let number = self.below(newest + 1);
                self.leaders.get(number).cloned()
            }
            _ => self.leaders.last().cloned(),
        }
    }

    /// The URL of a member that is never started.
    ///
    /// Compat: a new one each time: etcd draws an id from the URLs and the second, so a member that
    /// comes back in the second in which it was removed is taken for the removed one.
    fn peer_url(&mut self) -> String {
        self.urls_drawn += 1;
        format!("http://127.0.0.1:{}", self.urls_drawn)
    }

    fn members(&mut self) -> Step {
        let url = self.peer_url();
        Step::Other(match self.below(12) {
            0..3 => {
                let request = pb::MemberListRequest { linearizable: self.one_in(2) };
                Call::new("etcdserverpb.Cluster/MemberList", &request)
            }
            3..6 => {
                let peer_urls = match self.below(8) {
                    0 => Vec::new(),
                    1 => vec!["nonsense".to_owned()],
                    2 => vec![url.replace("127.0.0.1", "localhost"), url],
                    // One that is used already, if somebody was added.
                    3 | 4 => self.added.iter().cloned().chain([url]).collect(),
                    _ => vec![url],
                };
                let request = pb::MemberAddRequest { peer_urls, is_learner: true };
                Call::new("etcdserverpb.Cluster/MemberAdd", &request)
            }
            6 | 7 => {
                let id = self.pick(&[ADDED, ADDED, ADDED, 12_345]);
                Call::new("etcdserverpb.Cluster/MemberRemove", &pb::MemberRemoveRequest { id })
            }
            8 | 9 => {
                let id = self.pick(&[ADDED, ADDED, 12_345]);
                let request = pb::MemberUpdateRequest { id, peer_urls: vec![url] };
                Call::new("etcdserverpb.Cluster/MemberUpdate", &request)
            }
            _ => {
                let id = self.pick(&[ADDED, ADDED, MEMBER, 12_345]);
                Call::new("etcdserverpb.Cluster/MemberPromote", &pb::MemberPromoteRequest { id })
            }
        })
    }

    fn maintenance(&mut self) -> Step {
        let bare = |rpc| Step::Other(Call { rpc, request: Bytes::new() });
        match self.below(20) {
            0..4 => bare("etcdserverpb.Maintenance/Status"),
            4..7 => self.alarm(),
            7 | 8 => bare("etcdserverpb.Maintenance/Defragment"),
            9 => bare("etcdserverpb.Maintenance/Hash"),
            10 | 11 => bare("etcdserverpb.Maintenance/Snapshot"),
            12..14 => self.downgrade(),
            14 => bare("etcdserverpb.Auth/AuthStatus"),
            15 => bare("grpc.health.v1.Health/Check"),
            _ => Step::MoveLeader(self.pick(&[
                Move::NotLeading,
                Move::ToItself,
                Move::ToNobody,
                Move::ToLearner,
                Move::ToNext,
            ])),
        }
    }

    fn alarm(&mut self) -> Step {
        let member_id = self.pick(&[0, MEMBER, 12_345]);
        let (action, alarm) = match self.below(12) {
            0 => (1, 1),
            1 if self.one_in(3) => (1, 2),
            2 | 3 => (2, self.pick(&[1, 2])),
            // Compat: no unknown action; see `MASKS`.
            4 => (self.pick(&[0, 1, 2]), self.pick(&[0, 9])),
            _ => (0, self.pick(&[0, 1, 2])),
        };
        let request = pb::AlarmRequest { action, member_id, alarm };
        Step::Other(Call::new("etcdserverpb.Maintenance/Alarm", &request))
    }

    fn disarm(&mut self) -> Step {
        let number = self.below(self.alarms.len());
        let (member_id, alarm) = self.alarms[number];
        let request = pb::AlarmRequest { action: 2, member_id, alarm };
        Step::Other(Call::new("etcdserverpb.Maintenance/Alarm", &request))
    }

    /// Never one that is begun: it would change versions at a time of its own.
    fn downgrade(&mut self) -> Step {
        let (action, versions): (_, &[&str]) = match self.below(4) {
            0 => (1, &["3.5.0", "x", "", "3.8.0"]),
            1 => (2, &["", "3.6.0"]),
            _ => (0, &["3.6.0", "3.6", "3.7.0", "3.5.0", "4.0.0", "x", "", "3.6.0-rc.1"]),
        };
        let version = self.pick(versions).to_owned();
        let request = pb::DowngradeRequest { action, version };
        Step::Other(Call::new("etcdserverpb.Maintenance/Downgrade", &request))
    }

    /// Learns from what both answered.
    pub fn heard(&mut self, step: &Step, message: Option<&Bytes>) {
        let (Some(call), Some(message)) = (step.call(), message) else { return };
        match call.rpc {
            "etcdserverpb.Auth/AuthEnable" => {
                self.auth_enabled = true;
                for user in USERS {
                    self.next.push_back((Who::Nobody, Step::Login(user, password(user))));
                }
            }
            "etcdserverpb.Cluster/MemberAdd" => {
                let asked = pb::MemberAddRequest::decode(call.request).unwrap_or_default();
                self.added = asked.peer_urls.into_iter().next();
            }
            "etcdserverpb.Cluster/MemberUpdate" => {
                let asked = pb::MemberUpdateRequest::decode(call.request).unwrap_or_default();
                self.added = asked.peer_urls.into_iter().next();
            }
            "etcdserverpb.Cluster/MemberRemove" => self.added = None,
            "etcdserverpb.Auth/AuthDisable" => self.auth_enabled = false,
            // What root had before is refused now, and root does most of what is done.
            "etcdserverpb.Auth/UserChangePassword" => {
                self.next.push_back((Who::Nobody, Step::Login("root", password("root"))));
            }
            "v3lockpb.Lock/Lock" => {
                let lock = LockResponse::decode(message.clone()).unwrap_or_default();
                self.locks.push(lock.key);
            }
            "v3electionpb.Election/Campaign" => {
                let won = CampaignResponse::decode(message.clone()).unwrap_or_default();
                self.leaders.extend(won.leader);
            }
            "etcdserverpb.Maintenance/Alarm" => {
                let asked = pb::AlarmRequest::decode(call.request).unwrap_or_default();
                let alarm = (asked.member_id, asked.alarm);
                match asked.action {
                    1 => self.alarms.push(alarm),
                    2 => self.alarms.retain(|raised| *raised != alarm),
                    _ => {}
                }
            }
            _ => {}
        }
    }
}

/// Compat: what etcd permits of a range that ends before it begins is chance; see `MASKS`.
fn put_upright(step: &mut Step) {
    match step {
        Step::Range(range) | Step::RangeStream(range) => upright(&range.key, &mut range.range_end),
        Step::Delete(delete) => upright(&delete.key, &mut delete.range_end),
        Step::Txn(txn) => put_txn_upright(txn),
        _ => {}
    }
}

fn put_txn_upright(txn: &mut pb::TxnRequest) {
    use pb::request_op::Request;
    for compare in &mut txn.compare {
        upright(&compare.key, &mut compare.range_end);
    }
    for operation in txn.success.iter_mut().chain(&mut txn.failure) {
        match &mut operation.request {
            Some(Request::RequestRange(range)) => upright(&range.key, &mut range.range_end),
            Some(Request::RequestDeleteRange(delete)) => {
                upright(&delete.key, &mut delete.range_end);
            }
            Some(Request::RequestTxn(nested)) => put_txn_upright(nested),
            _ => {}
        }
    }
}

fn upright(key: &Bytes, range_end: &mut Bytes) {
    if range_end.as_ref() != [0] && *range_end <= *key {
        *range_end = Bytes::new();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::diff::call::rpcs;

    /// What no conversation asks for, with the reason.
    const NEVER: &[(&str, &str)] = &[];

    fn drawn(plan: Plan) -> BTreeSet<String> {
        let mut talk = Talk::new(super::super::STANDARD_SEED, plan);
        let at = Position { revision: 40, compacted: 10 };
        (0..super::super::STANDARD_REQUESTS).map(|_| talk.turn(at).step.rpc().to_owned()).collect()
    }

    #[test]
    fn a_standard_run_asks_for_every_rpc_of_the_descriptors() {
        let mut asked = BTreeSet::new();
        for auth in [false, true] {
            let plan = Plan { members: 3, auth, json: false, keys_only: false, trace: false };
            asked.extend(drawn(plan));
        }
        let never = |rpc: &str| NEVER.iter().any(|(known, _)| *known == rpc);
        let missed: Vec<_> =
            rpcs().into_iter().filter(|rpc| !asked.contains(rpc) && !never(rpc)).collect();
        assert!(missed.is_empty(), "nobody asks for {missed:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same_turns() {
        let draw = |seed| {
            let plan = Plan { members: 3, auth: true, json: false, keys_only: false, trace: false };
            let mut talk = Talk::new(seed, plan);
            let at = Position { revision: 40, compacted: 10 };
            (0..300).map(|_| format!("{:?}", talk.turn(at))).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
