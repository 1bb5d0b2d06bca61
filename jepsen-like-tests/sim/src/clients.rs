//! The load: clients in the members' processes that read, write, swap and delete a few keys and
//! note what they were told.
//!
//! Invariants: a client has one operation at a time; a value is written once; an answer counts only
//! if its process lives when it comes. Checked at each answer: what it tells was published before.
//!
//! Must not know: which fault is on.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use checkers::history::{Action, Found, Operation, Swapped};
use parking_lot::Mutex;
use proto::etcdserverpb::RangeRequest;
use proto::log::command::Request;

use crate::canary::Canary;
use crate::clock;
use crate::cluster::{Cluster, Process};
use crate::plan::Plan;
use crate::random::Dice;
use crate::requests::{self, Answer, Answered, Refusal};
use crate::world::World;

/// What the clients of a run share.
pub(crate) struct Load {
    cluster: Arc<Cluster>,
    stopped: AtomicBool,
    operations: Mutex<Vec<Operation>>,
    /// Values whose writes were certainly refused: they must never show.
    refused: Mutex<Vec<String>>,
}

impl Load {
    pub(crate) fn new(cluster: &Arc<Cluster>) -> Arc<Self> {
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            stopped: AtomicBool::new(false),
            operations: Mutex::default(),
            refused: Mutex::default(),
        })
    }

    /// Runs the clients until [`Load::stop`]; each then ends with its last operation.
    pub(crate) async fn run(self: Arc<Self>, plan: Plan) {
        let clients = (0..plan.clients).map(|number| {
            let dice = self.cluster.world.dice(&format!("client {number}"));
            let client = Client {
                load: Arc::clone(&self),
                number,
                dice,
                plan: plan.clone(),
                written: 0,
                lease: None,
                last_seen: None,
            };
            tokio::spawn(client.work())
        });
        // Order: all are spawned before the first is waited for.
        let clients: Vec<_> = clients.collect();
        for client in clients {
            // A panic of a client has been heard as such.
            drop(client.await);
        }
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// What was done and answered, once all clients have ended.
    pub(crate) fn operations(&self) -> Vec<Operation> {
        self.operations.lock().clone()
    }

    /// Values that must never show.
    pub(crate) fn refused(&self) -> Vec<String> {
        self.refused.lock().clone()
    }
}

struct Client {
    load: Arc<Load>,
    number: usize,
    dice: Dice,
    plan: Plan,
    written: u64,
    lease: Option<i64>,
    /// A key and what it last was: what a swap expects.
    last_seen: Option<(String, Option<String>)>,
}

/// What a request came to.
enum Told {
    Answer(Answered),
    /// It may have happened, or may yet.
    Unknown,
    /// It certainly did not happen.
    Refused,
}

impl Client {
    fn world(&self) -> &World {
        &self.load.cluster.world
    }

    async fn work(mut self) {
        while !self.load.stopped.load(Ordering::Relaxed) {
            let member = self.dice.below(self.load.cluster.size());
            match self.load.cluster.process(member) {
                Some(process) => self.one(&process).await,
                None => clock::pass(self.dice.millis(1, 20)).await,
            }
            clock::pass(self.dice.millis(0, self.plan.pause_max_ms)).await;
        }
    }

    async fn one(&mut self, process: &Arc<Process>) {
        let key = format!("k{}", self.dice.below(self.plan.keys));
        match self.dice.below(100) {
            0..30 => self.read(process, key).await,
            30..55 => self.write(process, key).await,
            55..75 => self.swap(process, key).await,
            75..87 => self.delete(process, key).await,
            87..93 => self.write_many(process).await,
            93..97 => self.use_lease(process).await,
            _ => self.compact(process).await,
        }
    }

    fn new_value(&mut self) -> String {
        self.written += 1;
        format!("c{}-{}", self.number, self.written)
    }

    /// Asks, as long as the process lives and the client has patience.
    async fn propose(&mut self, process: &Process, request: Request) -> Told {
        let name = name_of(&request);
        let answer = requests::send(process, request);
        let answer = self.in_life_of(process, answer).await;
        let (told, text) = match answer {
            None => (Told::Unknown, "unknown".to_owned()),
            Some(Ok(answered)) => {
                self.check_published(process, answered.0);
                let text = format!("ok at revision {}", answered.0);
                (Told::Answer(answered), text)
            }
            Some(Err(status)) => {
                let refusal = requests::refusal(&status);
                let told = if refusal == Refusal::Unknown { Told::Unknown } else { Told::Refused };
                (told, format!("{refusal:?}: {}", status.message()))
            }
        };
        let (number, process) = (self.number, process.observer.process);
        self.world().note(format_args!("c{number} {process} {name} {text}"));
        told
    }

    async fn in_life_of<T>(
        &mut self,
        process: &Process,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        process.answered(self.dice.millis(200, 9_000), answer).await
    }

    /// Order: publish before reply.
    fn check_published(&self, process: &Process, revision: i64) {
        let published = process.observer.published();
        if published < revision {
            let process = process.observer.process;
            self.world().found(format_args!(
                "{process} answered with revision {revision}, but has published {published}"
            ));
        }
    }

    fn note(&self, key: String, invoked: u64, told: Option<i64>, action: Action) {
        let operation = Operation {
            client: self.number,
            key,
            invoked_ns: invoked,
            returned_ns: told.map(|_| self.world().moment()),
            revision: told.unwrap_or(0),
            action,
        };
        self.load.operations.lock().push(operation);
    }

    fn saw(&mut self, key: &str, value: Option<String>) {
        self.last_seen = Some((key.to_owned(), value));
    }

    async fn read(&mut self, process: &Process, key: String) {
        let invoked = self.world().moment();
        let serializable = self.world().plants(Canary::StaleRead);
        let request = RangeRequest { serializable, ..requests::range(&key) };
        let mut kv = process.kv();
        let answer = self.in_life_of(process, kv.range(request)).await;
        let Some(Ok(response)) = answer.map(|answer| answer.map(tonic::Response::into_inner))
        else {
            return;
        };
        let revision = response.header.map_or(0, |header| header.revision);
        let found = requests::found(&response);
        let (number, name) = (self.number, process.observer.process);
        self.world().note(format_args!("c{number} {name} read {key} {revision} {found:?}"));
        self.check_published(process, revision);
        self.saw(&key, found.as_ref().map(|found| found.value.clone()));
        self.note(key, invoked, Some(revision), Action::Read { found });
    }

    async fn write(&mut self, process: &Process, key: String) {
        let value = self.new_value();
        let invoked = self.world().moment();
        let told = self.propose(process, Request::Put(requests::put(&key, &value, 0))).await;
        let revision = match told {
            Told::Answer((revision, _)) => Some(revision),
            Told::Unknown => None,
            Told::Refused => return self.load.refused.lock().push(value),
        };
        if revision.is_some() {
            self.saw(&key, Some(value.clone()));
        }
        self.note(key, invoked, revision, Action::Write { value });
    }

    async fn swap(&mut self, process: &Process, key: String) {
        // Without a sight of its own a client guesses, and is refused more often than not.
        let (key, expected) = self.last_seen.take().unwrap_or((key, None));
        let value = self.new_value();
        let invoked = self.world().moment();
        let told = self.propose(process, requests::swap(&key, expected.as_deref(), &value)).await;
        let (revision, outcome) = match told {
            Told::Answer((revision, answer)) => (Some(revision), Some(self.swapped(answer))),
            Told::Unknown => (None, None),
            Told::Refused => return self.load.refused.lock().push(value),
        };
        match &outcome {
            Some(Swapped::Done) => self.saw(&key, Some(value.clone())),
            Some(Swapped::Refused(found)) => {
                self.saw(&key, found.as_ref().map(|found: &Found| found.value.clone()));
            }
            None => {}
        }
        self.note(key, invoked, revision, Action::Swap { expected, value, outcome });
    }

    fn swapped(&self, answer: Answer) -> Swapped {
        match answer {
            Answer::Txn(response) if response.succeeded => Swapped::Done,
            Answer::Txn(response) => Swapped::Refused(requests::found_instead(&response)),
            other => {
                self.world().found(format_args!("a swap was answered with {other:?}"));
                Swapped::Refused(None)
            }
        }
    }

    async fn delete(&mut self, process: &Process, key: String) {
        let invoked = self.world().moment();
        let told = self.propose(process, requests::delete(&key)).await;
        let (revision, existed) = match told {
            Told::Answer((revision, Answer::Deleted(deleted))) => {
                (Some(revision), Some(deleted > 0))
            }
            Told::Answer(other) => {
                return self.world().found(format_args!("a delete was answered {other:?}"));
            }
            Told::Unknown => (None, None),
            Told::Refused => return,
        };
        self.note(key, invoked, revision, Action::Delete { existed });
    }

    async fn write_many(&mut self, process: &Process) {
        let value = self.new_value();
        let keys: Vec<String> = (0..self.dice.between(2, 6)).map(|n| format!("many{n}")).collect();
        drop(self.propose(process, requests::put_many(&keys, &value)).await);
    }

    async fn use_lease(&mut self, process: &Process) {
        match self.lease {
            Some(lease) if self.dice.chance(300) => {
                self.lease = None;
                drop(self.propose(process, requests::revoke(lease)).await);
            }
            Some(lease) => {
                let key = format!("leased{}", self.dice.below(4));
                let value = self.new_value();
                let put = requests::put(&key, &value, lease);
                drop(self.propose(process, Request::Put(put)).await);
            }
            None => {
                let lease = self.dice.between(1, 1_000_000) as i64;
                if let Told::Answer(_) = self.propose(process, requests::grant(lease, 3600)).await {
                    self.lease = Some(lease);
                }
            }
        }
    }

    async fn compact(&mut self, process: &Process) {
        let back = self.dice.between(0, 30) as i64;
        let revision = (process.reader().revision().0 - back).max(1);
        drop(self.propose(process, requests::compact(revision)).await);
    }
}

fn name_of(request: &Request) -> &'static str {
    match request {
        Request::Put(_) => "put",
        Request::DeleteRange(_) => "delete",
        Request::Txn(_) => "txn",
        Request::Compaction(_) => "compact",
        _ => "lease",
    }
}
