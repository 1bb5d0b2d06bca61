//! Clients that live by leases: they take one, attach keys to it, renew it over keep-alive streams,
//! and give it up or let it end.
//!
//! Invariants: no lease has an id that another had; the keys of a holder are written under its
//! lease and never deleted but with it. What is promised and told goes into the lease book.
//!
//! Must not know: which fault is on.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::stream;
use proto::etcdserverpb::{LeaseKeepAliveRequest, LeaseTimeToLiveRequest};
use proto::log::command::Request;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock;
use crate::cluster::{Cluster, Process};
use crate::plan::Plan;
use crate::random::Dice;
use crate::requests;
use crate::world::World;

/// The holders of a run.
pub(crate) struct Holders {
    stopped: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Holders {
    pub(crate) fn start(cluster: &Arc<Cluster>, plan: &Plan) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let tasks = (0..plan.holders).map(|number| {
            let holder = Holder {
                cluster: Arc::clone(cluster),
                stopped: Arc::clone(&stopped),
                number,
                taken: 0,
                dice: cluster.world.dice(&format!("holder {number}")),
            };
            tokio::spawn(holder.work())
        });
        let tasks = tasks.collect();
        Self { stopped, tasks }
    }

    /// Nobody takes or renews a lease after this.
    pub(crate) async fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        for task in self.tasks {
            // A panic of a holder has been heard as such.
            drop(task.await);
        }
    }
}

struct Holder {
    cluster: Arc<Cluster>,
    stopped: Arc<AtomicBool>,
    number: usize,
    taken: i64,
    dice: Dice,
}

/// A lease that was granted.
#[derive(Clone, Copy)]
struct Held {
    id: i64,
    ttl: Duration,
}

/// Whether a holder goes on with its lease.
#[derive(PartialEq, Eq)]
enum After {
    Renew,
    LetGo,
}

impl Holder {
    fn world(&self) -> &World {
        &self.cluster.world
    }

    fn goes_on(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed)
    }

    async fn work(mut self) {
        while self.goes_on() {
            clock::pass(self.dice.millis(0, 500)).await;
            let Some(held) = self.take().await else { continue };
            for key in 0..self.dice.below(4) {
                self.attach(held, key).await;
            }
            while self.goes_on() && self.renew(held).await == After::Renew {}
            if self.dice.chance(200) {
                self.give_up(held).await;
            }
        }
    }

    /// A member that runs, sooner or later.
    async fn member(&mut self) -> Arc<Process> {
        loop {
            let member = self.dice.below(self.cluster.size());
            if let Some(process) = self.cluster.process(member) {
                return process;
            }
            clock::pass(self.dice.millis(1, 20)).await;
        }
    }

    async fn in_life_of<T>(
        &mut self,
        process: &Process,
        answer: impl Future<Output = T>,
    ) -> Option<T> {
        process.answered(self.dice.millis(200, 9_000), answer).await
    }

    fn say(&self, process: &Process, what: std::fmt::Arguments<'_>) {
        self.world().note(format_args!("h{} {} {what}", self.number, process.observer.process));
    }

    fn check(&self, process: &Process, outcome: Result<(), String>) {
        self.world().check(process.observer.process, outcome);
    }

    async fn take(&mut self) -> Option<Held> {
        self.taken += 1;
        let id = 1_000_000_000 * (self.number as i64 + 1) + self.taken;
        let ttl_s = self.dice.between(2, 9);
        let held = Held { id, ttl: Duration::from_secs(ttl_s) };
        let process = self.member().await;
        self.world().leases.lock().asked(id, held.ttl);
        let grant = requests::send(&process, requests::grant(id, ttl_s as i64));
        let answer = self.in_life_of(&process, grant).await;
        self.say(&process, format_args!("grant {id} for {ttl_s} s: {}", text(&answer)));
        matches!(answer, Some(Ok(_))).then_some(held)
    }

    async fn attach(&mut self, held: Held, key: usize) {
        let process = self.member().await;
        let put = requests::put(&format!("held/{}/{key}", held.id), "held", held.id);
        let put = requests::send(&process, Request::Put(put));
        let answer = self.in_life_of(&process, put).await;
        self.say(&process, format_args!("attach {key} to {}: {}", held.id, text(&answer)));
    }

    async fn give_up(&mut self, held: Held) {
        let process = self.member().await;
        self.world().leases.lock().end_asked(held.id);
        let revoke = requests::send(&process, requests::revoke(held.id));
        let answer = self.in_life_of(&process, revoke).await;
        self.say(&process, format_args!("revoke {}: {}", held.id, text(&answer)));
    }

    /// Renews over one stream as long as that holds and the holder wants to.
    async fn renew(&mut self, held: Held) -> After {
        let process = self.member().await;
        let (sender, requests) = mpsc::unbounded_channel();
        let requests = stream::unfold(requests, |mut requests| async move {
            requests.recv().await.map(|request| (request, requests))
        });
        let mut leases = process.leases();
        let opened = self.in_life_of(&process, leases.lease_keep_alive(requests)).await;
        let Some(Ok(answers)) = opened else {
            clock::pass(self.dice.millis(1, 100)).await;
            return After::Renew;
        };
        let mut answers = answers.into_inner();
        while self.goes_on() {
            // Mostly in time; now and then so late that the lease may have ended.
            let part = *self.dice.pick(&[10, 30, 50, 90, 99, 110]);
            let wait = held.ttl * part / 100;
            clock::pass(wait).await;
            let sent = Instant::now();
            if sender.send(LeaseKeepAliveRequest { id: held.id }).is_err() {
                return After::Renew;
            }
            let answer = self.in_life_of(&process, answers.message()).await;
            let Some(Ok(Some(answer))) = answer else {
                self.say(&process, format_args!("renewal of {} has no answer", held.id));
                return After::Renew;
            };
            self.say(&process, format_args!("renewed {} for {} s", held.id, answer.ttl));
            if answer.ttl <= 0 {
                let told = self.world().leases.lock().told_gone(held.id);
                self.check(&process, told);
                return After::LetGo;
            }
            let ttl = Duration::from_secs(answer.ttl.unsigned_abs());
            let noted = self.world().leases.lock().renewed(held.id, sent, ttl);
            self.check(&process, noted);
            match self.dice.below(10) {
                0 => return After::LetGo,
                1 | 2 => return After::Renew,
                3 => self.ask_for_the_rest(held).await,
                _ => {}
            }
        }
        After::LetGo
    }

    /// Asks how long the lease still lives, which is never longer than it was granted for.
    async fn ask_for_the_rest(&mut self, held: Held) {
        let process = self.member().await;
        let request = LeaseTimeToLiveRequest { id: held.id, keys: true };
        let mut leases = process.leases();
        let answer = self.in_life_of(&process, leases.lease_time_to_live(request)).await;
        let Some(Ok(answer)) = answer.map(|answer| answer.map(tonic::Response::into_inner)) else {
            return;
        };
        let (rest, keys) = (answer.ttl, answer.keys.len());
        self.say(&process, format_args!("{} has {rest} s and {keys} keys", held.id));
        if rest < 0 {
            let told = self.world().leases.lock().told_gone(held.id);
            return self.check(&process, told);
        }
        let most = held.ttl + EXTENSION_MAX;
        if Duration::from_secs(rest.unsigned_abs()) > most {
            let id = held.id;
            self.check(&process, Err(format!("lease {id} has {rest} s of at most {most:?}")));
        }
    }
}

/// What a new leader adds, because nobody could renew while there was none.
const EXTENSION_MAX: Duration = Duration::from_secs(1);

fn text(answer: &Option<Result<requests::Answered, tonic::Status>>) -> String {
    match answer {
        None => "no answer".to_owned(),
        Some(Ok((revision, _))) => format!("ok at {revision}"),
        Some(Err(status)) => status.message().to_owned(),
    }
}
