//! The network of a run: the transport seam, with links that delay, lose, repeat and part.
//!
//! Invariants: what is said between two members goes through here and nowhere else; a call to or
//! from a process that died has no effect and no answer; what protocols over TCP never do is not
//! done (a proposal is not repeated, a stream is not reordered).
//! Checked: one leader per term, by what is said in its name.
//!
//! Must not know: what calls mean, beyond whose office a replication is made in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use parking_lot::Mutex;
use prost::Message;
use proto::peer;
use proto::peer::ask_leader_request::Request as Question;
use proto::peer::ask_leader_response::Response as Answered;
use raft::{Lane, PeerAddress, PeerError, PeerHandler, Transport};
use tokio::sync::Notify;

use crate::canary::Canary;
use crate::clock;
use crate::observer::Observer;
use crate::random::Dice;
use crate::trace::fnv;
use crate::wire::Link;
use crate::world::World;

/// How links behave. *Units*: milliseconds, which is how fine virtual time is, and times in a
/// thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Weather {
    /// Shortest and longest time a message takes.
    pub(crate) latency_ms: (u64, u64),
    /// A message or its answer is lost.
    pub(crate) lost: u32,
    /// A message that may be repeated comes twice.
    pub(crate) repeated: u32,
    /// A stream's connection breaks at a message.
    pub(crate) reset: u32,
}

impl Weather {
    /// A quiet local network.
    pub(crate) const CALM: Weather = Weather { latency_ms: (0, 1), lost: 0, repeated: 0, reset: 0 };
}

/// The network. Clones share it.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) world: Arc<World>,
    state: Mutex<State>,
    /// Rung when links are cut or mended, and when processes come and go.
    changed: Notify,
    numbers: AtomicU64,
}

struct State {
    /// Peer URLs, by member.
    urls: Vec<String>,
    /// The running processes, by member.
    processes: Vec<Option<Listening>>,
    /// What the first says does not reach the second.
    cut: BTreeSet<(usize, usize)>,
    weather: Weather,
    dice: Dice,
    /// The newest answer to a renewal, by lease; kept only where that bug is planted.
    renewals: BTreeMap<i64, peer::AskLeaderResponse>,
}

/// A process that peers can reach.
#[derive(Clone)]
pub(crate) struct Listening {
    pub(crate) handler: Arc<dyn PeerHandler>,
    pub(crate) observer: Arc<Observer>,
}

/// What becomes of one message.
pub(crate) struct Fate {
    pub(crate) latency: Duration,
    pub(crate) is_lost: bool,
    pub(crate) is_repeated: bool,
    pub(crate) is_reset: bool,
    /// How long until a silent connection is given up.
    pub(crate) patience: Duration,
}

impl Network {
    pub(crate) fn new(world: &Arc<World>, urls: Vec<String>) -> Self {
        let state = State {
            processes: vec![None; urls.len()],
            urls,
            cut: BTreeSet::new(),
            weather: Weather::CALM,
            dice: world.dice("network"),
            renewals: BTreeMap::new(),
        };
        let shared = Shared {
            world: Arc::clone(world),
            state: Mutex::new(state),
            changed: Notify::new(),
            numbers: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The network as one process sees it.
    pub(crate) fn transport(&self, observer: &Arc<Observer>) -> Arc<dyn Transport> {
        Arc::new(Endpoint { network: self.clone(), observer: Arc::clone(observer) })
    }

    /// Lets peers reach a member's process.
    pub(crate) fn attach(&self, handler: Arc<dyn PeerHandler>, observer: &Arc<Observer>) {
        let listening = Listening { handler, observer: Arc::clone(observer) };
        self.change(|state| state.processes[observer.process.member] = Some(listening));
    }

    /// Takes a member off.
    pub(crate) fn detach(&self, member: usize) {
        self.change(|state| state.processes[member] = None);
    }

    /// Cuts or mends what `from` says to `to`.
    pub(crate) fn set_cut(&self, from: usize, to: usize, is_cut: bool) {
        self.shared
            .world
            .note(format_args!("link m{from}>m{to} {}", if is_cut { "cut" } else { "mended" }));
        self.change(|state| match is_cut {
            true => drop(state.cut.insert((from, to))),
            false => drop(state.cut.remove(&(from, to))),
        });
    }

    /// Mends every link.
    pub(crate) fn mend_all(&self) {
        self.shared.world.note(format_args!("all links mended"));
        self.change(|state| state.cut.clear());
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        self.shared.world.note(format_args!("weather {weather:?}"));
        self.change(|state| state.weather = weather);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state.lock());
        self.shared.changed.notify_waiters();
    }
}

impl Shared {
    /// Draws what becomes of the next message.
    pub(crate) fn fate(&self) -> Fate {
        let mut state = self.state.lock();
        let Weather { latency_ms: (low, high), lost, repeated, reset } = state.weather;
        let dice = &mut state.dice;
        Fate {
            latency: Duration::from_millis(dice.between(low, high)),
            is_lost: dice.chance(lost),
            is_repeated: dice.chance(repeated),
            is_reset: dice.chance(reset),
            patience: dice.millis(300, 3000),
        }
    }

    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.state.lock().cut.contains(&(from, to))
    }

    /// The process that runs on a member now.
    pub(crate) fn process(&self, member: usize) -> Option<Listening> {
        self.state.lock().processes[member].clone()
    }

    /// The member under an address.
    fn member(&self, address: &PeerAddress) -> usize {
        let state = self.state.lock();
        let found = state.urls.iter().position(|url| address.peer_urls.contains(url));
        found.expect("members know only each other's addresses")
    }

    /// Ends when `holds` does not hold any more.
    pub(crate) async fn while_so(&self, mut holds: impl FnMut() -> bool) {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if !holds() {
                return;
            }
            changed.await;
        }
    }

    /// The number of a new message or stream, for the trace.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a message to the trace, by its name and a hash of its bytes.
    pub(crate) fn note(&self, number: u64, from: usize, to: usize, name: &str, message: &[u8]) {
        let hash = fnv(0, message);
        self.world.note(format_args!("n{number} m{from}>m{to} {name} {hash:016x}"));
    }

    /// The remembered answer to a renewal, where that bug is planted.
    pub(crate) fn remembered(
        &self,
        request: &peer::AskLeaderRequest,
    ) -> Option<peer::AskLeaderResponse> {
        if !self.world.plants(Canary::RememberedRenewal) {
            return None;
        }
        let Some(Question::LeaseKeepAlive(renewal)) = &request.request else { return None };
        self.state.lock().renewals.get(&renewal.id).cloned()
    }

    /// Remembers the answer to a renewal, where that bug is planted.
    pub(crate) fn remember(&self, answer: &peer::AskLeaderResponse) {
        if self.world.plants(Canary::RememberedRenewal)
            && let Some(Answered::LeaseKeepAlive(renewal)) = &answer.response
        {
            self.state.lock().renewals.insert(renewal.id, answer.clone());
        }
    }

    /// Looks at a replication before it is delivered; alters it when that bug is planted.
    pub(crate) fn inspect(&self, to: usize, request: &mut peer::AppendRequest) {
        if let Some(vote) = request.vote.as_ref().filter(|vote| vote.committed) {
            let noted = self.world.ledger.lock().leads(vote.term, vote.voted_for);
            if noted == Ok(true) {
                self.world.note(format_args!("term {} led by {:x}", vote.term, vote.voted_for));
            }
            self.world.check("network", noted.map(drop));
        }
        if self.world.plants(Canary::AlteredEntry) && to == 2 && self.state.lock().dice.chance(20) {
            request.entries.iter_mut().for_each(alter);
        }
    }
}

/// Changes a letter of the first value that a client wrote.
fn alter(entry: &mut proto::log::Entry) {
    if let Some(proto::log::entry::Payload::Batch(batch)) = &mut entry.payload
        && let Ok(mut decoded) = proto::log::Batch::decode(batch.clone())
        && let Some(proto::log::command::Request::Put(put)) =
            decoded.commands.first_mut().and_then(|command| command.request.as_mut())
    {
        put.value = bytes::Bytes::from_static(b"altered");
        *batch = decoded.encode_to_vec().into();
    }
}

struct Endpoint {
    network: Network,
    observer: Arc<Observer>,
}

impl Transport for Endpoint {
    fn peer(&self, address: &PeerAddress, _lane: Lane) -> Arc<dyn PeerHandler> {
        let to = self.network.shared.member(address);
        let shared = Arc::clone(&self.network.shared);
        Arc::new(Link { shared, observer: Arc::clone(&self.observer), to })
    }
}

/// A call with one request and one answer, as it is made at the receiver.
type Call<T> = Arc<dyn Fn(Arc<dyn PeerHandler>) -> Answering<T> + Send + Sync>;
type Answering<T> = BoxFuture<'static, Result<T, PeerError>>;

impl Link {
    /// Carries a request there and its answer back.
    ///
    /// A call that was delivered is handled to its end, whether or not the caller still waits.
    pub(crate) async fn call<T: Message + 'static>(
        &self,
        name: &'static str,
        may_repeat: bool,
        request: &impl Message,
        call: Call<T>,
    ) -> Result<T, PeerError> {
        let (from, to) = (self.observer.process.member, self.to);
        let number = self.shared.number();
        let there = self.shared.fate();
        clock::pass(there.latency).await;
        if self.observer.is_dead() || there.is_lost || self.shared.is_cut(from, to) {
            self.shared.world.note(format_args!("n{number} m{from}>m{to} {name} lost"));
            clock::pass(there.patience).await;
            return Err(PeerError::NoAnswer("the request was lost".to_owned()));
        }
        self.shared.note(number, from, to, name, &request.encode_to_vec());
        let Some(listening) = self.shared.process(to) else {
            let back = self.shared.fate();
            clock::pass(back.latency).await;
            return Err(PeerError::Unreachable(format!("m{to} does not run")));
        };
        if may_repeat && there.is_repeated {
            self.repeat(number, name, &listening, &call);
        }
        let answering = tokio::spawn(call(Arc::clone(&listening.handler)));
        let answer = tokio::select! {
            biased;
            () = listening.observer.died() => None,
            answer = answering => answer.ok(),
        };
        self.bring_back(number, name, answer).await
    }

    fn repeat<T: Message + 'static>(
        &self,
        number: u64,
        name: &'static str,
        listening: &Listening,
        call: &Call<T>,
    ) {
        let later = self.shared.fate();
        let (shared, listening, call) =
            (Arc::clone(&self.shared), listening.clone(), Arc::clone(call));
        tokio::spawn(async move {
            clock::pass(later.latency).await;
            if !listening.observer.is_dead() {
                shared.world.note(format_args!("n{number} {name} repeated"));
                drop(call(listening.handler).await);
            }
        });
    }

    async fn bring_back<T: Message>(
        &self,
        number: u64,
        name: &str,
        answer: Option<Result<T, PeerError>>,
    ) -> Result<T, PeerError> {
        let (from, to) = (self.observer.process.member, self.to);
        let back = self.shared.fate();
        clock::pass(back.latency).await;
        let Some(answer) = answer else {
            return Err(PeerError::NoAnswer(format!("m{to} died")));
        };
        if self.observer.is_dead() || back.is_lost || self.shared.is_cut(to, from) {
            self.shared.world.note(format_args!("n{number} m{to}>m{from} {name} answer lost"));
            clock::pass(back.patience).await;
            return Err(PeerError::NoAnswer("the answer was lost".to_owned()));
        }
        match &answer {
            Ok(message) => self.shared.note(number, to, from, name, &message.encode_to_vec()),
            Err(error) => {
                self.shared.world.note(format_args!("n{number} m{to}>m{from} {name} {error}"));
            }
        }
        answer
    }
}
