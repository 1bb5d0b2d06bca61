//! One side of a conversation: connections to its members, the tokens its users got, its names and
//! its watch streams.
//!
//! Must not know: the other side.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use prost::Message as _;
use proto::etcdserverpb as pb;
use services::etcdserverpb::auth_client::AuthClient;
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::Request;
use tonic::transport::Channel;

use super::call::{self, ADDED, Call};
use super::generate::{Move, STREAMS, Step};
use super::names::Names;
use super::send::{Letter, Read, Reply, To};
use super::streams::{Source, Stream};
use super::talk::Turn;
use super::who::{FORGED_TOKEN, KEEPER, Who, password};
use crate::gateway::spell::Speller;
use crate::process;

/// How long members may take to agree on a leader that was chosen.
const LEADER_DEADLINE: Duration = Duration::from_secs(20);

#[derive(Debug)]
struct Door {
    url: String,
    channel: Channel,
}

/// An answer as text, and what moves the conversation.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) revision: i64,
    pub(crate) succeeded: bool,
    /// The message, where it was one.
    pub(crate) message: Option<Bytes>,
}

/// One server, or a cluster of them.
pub(crate) struct Peer {
    doors: Vec<Door>,
    /// Writes JSON, where that is spoken.
    speller: Option<Speller>,
    names: Names,
    /// The last token of each user, and the first.
    tokens: BTreeMap<&'static str, [String; 2]>,
    keeper: Option<String>,
    pub(crate) streams: Vec<Stream>,
}

impl Peer {
    /// A single member, over gRPC.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        Self::of_members(&[url], None).await
    }

    /// All members of a cluster; with a seed for spellings as JSON.
    pub(crate) async fn of_members(urls: &[&str], json_seed: Option<u64>) -> Result<Self> {
        let mut doors = Vec::new();
        for &url in urls {
            doors.push(Door { url: url.to_owned(), channel: process::dial(url).await? });
        }
        let mut cluster = ClusterClient::new(doors[0].channel.clone());
        let list = cluster.member_list(pb::MemberListRequest { linearizable: true }).await?;
        let mut peer = Self {
            doors,
            speller: json_seed.map(Speller::new),
            names: Names::new(&list.into_inner().members),
            tokens: BTreeMap::new(),
            keeper: None,
            streams: Vec::new(),
        };
        peer.open_streams().await?;
        Ok(peer)
    }

    /// A connection each: a watch stream must not wait behind another's window.
    async fn open_streams(&mut self) -> Result<()> {
        self.streams.clear();
        for number in 0..STREAMS {
            let url = &self.doors[number % self.doors.len()].url;
            let source = match self.speller {
                Some(_) => Source::Json(url.clone()),
                None => Source::Grpc(process::dial(url).await?),
            };
            self.streams.push(Stream::open(source, self.keeper.as_deref()).await?);
        }
        Ok(())
    }

    pub(crate) fn stream_without_watches(&self) -> Stream {
        Stream::without_watches(Source::Grpc(self.doors[0].channel.clone()), None)
    }

    /// Waits until a member has applied what was answered before, where there are several: this
    /// question goes through the log.
    pub(crate) async fn catch_up(&self, member: usize) -> Result<()> {
        if self.doors.len() > 1 {
            let mut auth = AuthClient::new(self.doors[member].channel.clone());
            auth.auth_status(pb::AuthStatusRequest {}).await?;
        }
        Ok(())
    }

    fn token(&self, who: Who) -> Option<String> {
        let of = |name, which: usize| self.tokens.get(name).map(|tokens| tokens[which].clone());
        match who {
            Who::Nobody => None,
            Who::Forged => Some(FORGED_TOKEN.to_owned()),
            Who::Keeper => self.keeper.clone(),
            Who::User(name) => of(name, 0),
            Who::Stale(name) => of(name, 1),
        }
    }

    /// The call as this side is asked it.
    ///
    /// *Errors*: a request that is none of its RPC.
    pub(super) fn letter(&mut self, who: Who, member: usize, call: &Call) -> Result<Letter> {
        let call = Call { rpc: call.rpc, request: self.names.own(call)? };
        let door = &self.doors[member];
        let mut to = To::Grpc(door.url.clone(), door.channel.clone());
        // Not of etcd's descriptors: health, which the gateway does not know either.
        if let (Some(speller), Ok(method)) = (&mut self.speller, call::method(call.rpc)) {
            let message = call::decoded(method.input(), &call.request)?;
            if let Some((path, body)) = speller.request(call.rpc, &message)? {
                to = To::Json(door.url.clone(), path, body);
            }
        }
        Ok(Letter { call, to, token: self.token(who) })
    }

    /// Reads what a letter brought back, and remembers what later turns need.
    pub(super) async fn read(&mut self, call: &Call, reply: Reply) -> Result<Answer> {
        if call.rpc == "etcdserverpb.Cluster/MemberAdd" {
            // So that the new member has a name in this very answer.
            if let Some(message) = Read::new(call, reply.clone(), &self.names)?.message {
                self.names.added(&message);
            }
        }
        let read = Read::new(call, reply, &self.names)?;
        let succeeded = read.message.is_some();
        let answer =
            Answer { text: read.text, revision: read.revision, succeeded, message: read.message };
        if !succeeded {
            return Ok(answer);
        }
        if call.rpc == "etcdserverpb.Auth/AuthEnable" {
            self.log_in_again().await?;
        }
        Ok(answer)
    }

    /// Authentication was switched on: all that came before counts no more.
    async fn log_in_again(&mut self) -> Result<()> {
        let request =
            pb::AuthenticateRequest { name: KEEPER.to_owned(), password: password(KEEPER) };
        let mut auth = AuthClient::new(self.doors[0].channel.clone());
        self.keeper = Some(auth.authenticate(request).await?.into_inner().token);
        for member in 0..self.doors.len() {
            self.catch_up(member).await?;
        }
        self.open_streams().await
    }

    /// The answer to a step that is no stream's, as nobody gets it.
    pub(crate) async fn answer(&mut self, step: &Step) -> Result<Answer> {
        let turn = Turn { who: Who::Nobody, member: 0, step: step.clone() };
        self.take(&turn).await
    }

    /// Takes one turn.
    pub(super) async fn take(&mut self, turn: &Turn) -> Result<Answer> {
        match &turn.step {
            Step::Watch(stream, create) => {
                self.streams[*stream].create(create.clone()).await?;
                return Ok(nothing());
            }
            Step::Cancel(stream, watch_id) => {
                // What a watch of the past was not told yet depends on the moment; see `MASKS`.
                let now = self.revision().await?;
                self.streams[*stream].quiet(now).await?;
                self.streams[*stream].cancel(*watch_id).await?;
                // An unknown id is met with silence; a progress answer shows that the cancel was
                // read.
                self.streams[*stream].quiet(1).await?;
                return Ok(nothing());
            }
            Step::MoveLeader(asked) => return self.move_leader(turn.who, *asked).await,
            _ => {}
        }
        let call = turn.step.call().context("a step that is one call")?;
        let reply = self.letter(turn.who, turn.member, &call)?.send().await;
        let answer = self.read(&call, reply).await?;
        if let (Step::Login(name, _), Some(message)) = (&turn.step, &answer.message) {
            let token = pb::AuthenticateResponse::decode(message.clone())?.token;
            let tokens = self.tokens.entry(name).or_insert_with(|| [token.clone(), token.clone()]);
            tokens[0] = token;
        }
        Ok(answer)
    }

    async fn move_leader(&mut self, who: Who, asked: Move) -> Result<Answer> {
        let leader = self.leader(0).await?.context("there is no leader")?;
        let next = (leader + 1) % self.doors.len();
        let member = |number| super::call::MEMBER + number as u64;
        let (to, target_id) = match asked {
            Move::NotLeading => (next, member(leader)),
            Move::ToItself => (leader, member(leader)),
            Move::ToNobody => (leader, 12_345),
            Move::ToLearner => (leader, ADDED),
            Move::ToNext => (leader, member(next)),
        };
        let request = pb::MoveLeaderRequest { target_id };
        let call = Call::new("etcdserverpb.Maintenance/MoveLeader", &request);
        let reply = self.letter(who, to, &call)?.send().await;
        let answer = self.read(&call, reply).await?;
        if answer.succeeded && asked == Move::ToNext {
            self.led_by(next).await?;
        }
        Ok(answer)
    }

    /// The number of the member that a member takes for the leader.
    async fn leader(&self, member: usize) -> Result<Option<usize>> {
        let mut maintenance = MaintenanceClient::new(self.doors[member].channel.clone());
        let status = maintenance.status(self.by_keeper(pb::StatusRequest {})).await?.into_inner();
        Ok(self.names.members.iter().position(|id| *id == status.leader))
    }

    async fn led_by(&self, leader: usize) -> Result<()> {
        let deadline = Instant::now() + LEADER_DEADLINE;
        for member in 0..self.doors.len() {
            while self.leader(member).await? != Some(leader) {
                if Instant::now() > deadline {
                    bail!("member {member} does not hear of the new leader {leader}");
                }
                crate::pause::pause(process::POLL).await;
            }
            self.catch_up(member).await?;
        }
        Ok(())
    }

    fn by_keeper<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = self.keeper.as_ref().and_then(|token| token.parse().ok()) {
            request.metadata_mut().insert("token", token);
        }
        request
    }

    /// The revision of the store now.
    pub(super) async fn revision(&self) -> Result<i64> {
        let request = pb::RangeRequest { key: "revision".into(), ..Default::default() };
        let mut kv = KvClient::new(self.doors[0].channel.clone());
        let answer = kv.range(self.by_keeper(request)).await?.into_inner();
        Ok(answer.header.map_or(0, |header| header.revision))
    }

    /// The keys of a queue, those that came first before the others.
    pub(super) async fn queue(&self, queue: &[u8]) -> Result<Vec<Vec<u8>>> {
        let mut end = queue.to_vec();
        if let Some(last) = end.last_mut() {
            // Every queue's name ends with a slash.
            *last += 1;
        }
        let request = pb::RangeRequest {
            key: queue.to_vec().into(),
            range_end: end.into(),
            sort_target: pb::range_request::SortTarget::Create as i32,
            sort_order: pb::range_request::SortOrder::Ascend as i32,
            ..Default::default()
        };
        let mut kv = KvClient::new(self.doors[0].channel.clone());
        let answer = kv.range(self.by_keeper(request)).await?.into_inner();
        Ok(answer.kvs.into_iter().map(|kv| kv.key.to_vec()).collect())
    }

    /// Takes a key away, as the runner itself.
    pub(super) async fn remove(&self, key: &[u8]) -> Result<()> {
        let request = pb::DeleteRangeRequest { key: key.to_vec().into(), ..Default::default() };
        let mut kv = KvClient::new(self.doors[0].channel.clone());
        kv.delete_range(self.by_keeper(request)).await?;
        Ok(())
    }
}

fn nothing() -> Answer {
    Answer { text: String::new(), revision: 0, succeeded: true, message: None }
}
