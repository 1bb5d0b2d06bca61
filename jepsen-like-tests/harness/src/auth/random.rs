//! The random part: users come and go, gain and lose permissions, and use what they have or had.

use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request as Op;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::ask::{USERS, password};
use super::script::{add, add_without_password, delete, grant, put, range, revoke};
use super::{Ask, Step, Who};

const ROLES: [&str; 4] = ["root", "r1", "r2", "r3"];
const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Distinct keys, so that no two permissions of a role are in an order that etcd leaves open.
const GRANTS: [(&str, &str); 5] = [("a", ""), ("b", "d"), ("c", ""), ("d", "f"), ("e", "\0")];

/// Draws the steps of one conversation.
pub(super) struct Drawer {
    source: ChaCha8Rng,
    members: usize,
    /// Root logs in again this often, so that the conversation does not run dry.
    since_login: u32,
}

impl Drawer {
    pub(super) fn new(source: ChaCha8Rng, members: usize) -> Self {
        Drawer { source, members, since_login: 0 }
    }

    /// The next step.
    pub(super) fn step(&mut self) -> Step {
        let member = self.below(self.members);
        self.since_login += 1;
        if self.since_login > 12 {
            self.since_login = 0;
            let ask = Ask::Authenticate("root", password("root"));
            return Step { who: Who::Nobody, member, ask };
        }
        let (who, ask) = match self.below(10) {
            0..=2 => (self.administrator(), self.administration()),
            3 => (self.anybody(), self.maintenance()),
            4 => (Who::Nobody, self.login()),
            5 => (self.anybody(), self.lease()),
            _ => (self.anybody(), self.data()),
        };
        Step { who, member, ask }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.source.random_range(0..bound)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn anybody(&mut self) -> Who {
        match self.below(12) {
            0 => Who::Nobody,
            1 => Who::Forged,
            2 => Who::User("root"),
            _ => Who::User(self.one(&USERS)),
        }
    }

    fn administrator(&mut self) -> Who {
        if self.below(8) == 0 { self.anybody() } else { Who::User("root") }
    }

    fn login(&mut self) -> Ask {
        let user = self.one(&USERS);
        let wrong = self.below(6) == 0;
        Ask::Authenticate(user, if wrong { "wrong".to_owned() } else { password(user) })
    }

    fn administration(&mut self) -> Ask {
        let (user, role) = (self.one(&USERS), self.one(&ROLES));
        let (key, range_end) = self.one(&GRANTS);
        match self.below(20) {
            0 | 1 => add(user),
            2 if user != "root" => add_without_password(user),
            3 if user != "root" => Ask::UserDelete(user),
            4 => self.change(user),
            5..=7 if role != "root" || user == "root" => Ask::UserGrantRole(user, role),
            8 if user != "root" => Ask::UserRevokeRole(user, role),
            9 | 10 => Ask::RoleAdd(role),
            11 if role != "root" => Ask::RoleDelete(role),
            12..=14 => {
                let kind = i32::try_from(self.below(3)).unwrap_or(0);
                grant(role, kind, key, range_end)
            }
            15 => revoke(role, key, range_end),
            16 => Ask::UserGet(user),
            17 => Ask::RoleGet(role),
            18 if self.below(2) == 0 => Ask::UserList,
            18 => Ask::RoleList,
            19 if self.below(4) == 0 => Ask::AuthDisable,
            _ => Ask::AuthEnable,
        }
    }

    /// Root keeps its password, or the conversation would end here.
    fn change(&mut self, user: &'static str) -> Ask {
        Ask::UserChangePassword(pb::AuthUserChangePasswordRequest {
            name: user.to_owned(),
            password: password(user),
            ..Default::default()
        })
    }

    fn maintenance(&mut self) -> Ask {
        match self.below(9) {
            0 => Ask::Status,
            1 => Ask::MemberList,
            2 => Ask::MemberRemove,
            3 => Ask::Alarm(pb::AlarmRequest::default()),
            4 => Ask::Alarm(pb::AlarmRequest { action: 2, member_id: 0, alarm: 1 }),
            5 => Ask::Compact(1),
            6 => Ask::MoveLeader,
            7 => Ask::AuthStatus,
            _ => Ask::HashKv,
        }
    }

    fn lease(&mut self) -> Ask {
        let id = i64::try_from(self.below(4)).unwrap_or(0) + 100;
        match self.below(6) {
            0 | 1 => Ask::LeaseGrant(id),
            2 => Ask::LeaseRevoke(id),
            3 => Ask::LeaseKeepAlive(id),
            4 => Ask::LeaseTimeToLive(id, self.below(2) == 0),
            _ => Ask::LeaseLeases,
        }
    }

    fn data(&mut self) -> Ask {
        let (key, range_end) = self.span();
        match self.below(8) {
            0 | 1 => Ask::Range(range(key, range_end)),
            2 => Ask::RangeStream(range(key, range_end)),
            3 | 4 => Ask::Put(self.put(key)),
            5 => {
                let prev_kv = self.below(2) == 0;
                Ask::Delete(pb::DeleteRangeRequest { prev_kv, ..delete(key, range_end) })
            }
            6 => Ask::Txn(self.txn(0)),
            _ => Ask::Watch(pb::WatchCreateRequest {
                key: key.into(),
                range_end: range_end.into(),
                ..Default::default()
            }),
        }
    }

    fn span(&mut self) -> (&'static str, &'static str) {
        let key = self.one(&KEYS);
        let range_end = match self.below(6) {
            0 => "\0",
            1 | 2 => self.one(&KEYS),
            _ => "",
        };
        (key, range_end)
    }

    fn put(&mut self, key: &str) -> pb::PutRequest {
        let lease = match self.below(3) {
            0 => i64::try_from(self.below(4)).unwrap_or(0) + 100,
            _ => 0,
        };
        pb::PutRequest { lease, prev_kv: self.below(3) == 0, ..put(key) }
    }

    fn txn(&mut self, depth: usize) -> pb::TxnRequest {
        let mut list = Vec::new();
        for _ in 0..self.below(3) {
            let (key, range_end) = self.span();
            let operation = match self.below(5) {
                0 | 1 => Op::RequestRange(range(key, range_end)),
                2 => Op::RequestPut(self.put(key)),
                3 => Op::RequestDeleteRange(delete(key, range_end)),
                _ if depth < 3 => Op::RequestTxn(self.txn(depth + 1)),
                _ => Op::RequestRange(range(key, range_end)),
            };
            list.push(pb::RequestOp { request: Some(operation) });
        }
        let compare = match self.below(3) {
            0 => vec![pb::Compare { key: self.one(&KEYS).into(), ..Default::default() }],
            _ => Vec::new(),
        };
        match self.below(2) {
            0 => pb::TxnRequest { compare, success: list, ..Default::default() },
            _ => pb::TxnRequest { compare, failure: list, ..Default::default() },
        }
    }
}
