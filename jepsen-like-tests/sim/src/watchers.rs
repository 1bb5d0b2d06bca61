//! Watchers of everything, each of whom must be told the one history without a gap.
//!
//! A watcher goes on where it was when its process dies, on the same member or on another. Some
//! read slowly, some ask for fragments, for previous values, for progress.
//!
//! Invariant checked at each answer: the next revision is the one after the last, whole, and says
//! what the ledger says; progress never runs ahead of the events.
//!
//! Must not know: which fault is on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use futures::stream;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use proto::mvccpb::Event;
use proto::mvccpb::event::EventType;
use proto::status::EtcdError;
use tokio::sync::mpsc;

use crate::clock;
use crate::cluster::{Cluster, Process};
use crate::ledger::change;
use crate::random::Dice;

/// How far the watchers of a run have come.
pub(crate) struct Watchers {
    /// By watcher, the revision up to which it was told everything.
    told: Vec<Arc<AtomicI64>>,
    /// Set: nobody dawdles any more.
    hurry: Arc<AtomicBool>,
}

impl Watchers {
    /// Starts one watcher at home on each member and one that roams.
    pub(crate) fn start(cluster: &Arc<Cluster>) -> Self {
        let hurry = Arc::new(AtomicBool::new(false));
        let told = (0..=cluster.size()).map(|number| {
            let mut dice = cluster.world.dice(&format!("watcher {number}"));
            let told = Arc::new(AtomicI64::new(0));
            let watcher = Watcher {
                cluster: Arc::clone(cluster),
                number,
                home: (number < cluster.size()).then_some(number),
                // From the first revision; the one that roams, from whenever it begins.
                next: if number < cluster.size() { Some(1) } else { None },
                is_slow: dice.chance(500),
                fragment: dice.chance(500),
                prev_kv: dice.chance(500),
                pieces: Vec::new(),
                told: Arc::clone(&told),
                hurry: Arc::clone(&hurry),
                dice,
            };
            tokio::spawn(watcher.work());
            told
        });
        Self { told: told.collect(), hurry }
    }

    /// Makes everybody read as fast as they can from here on.
    pub(crate) fn hurry(&self) {
        self.hurry.store(true, Ordering::Relaxed);
    }

    /// Whether everybody was told everything up to a revision.
    pub(crate) fn have_all(&self, revision: i64) -> bool {
        self.told.iter().all(|told| told.load(Ordering::Relaxed) >= revision)
    }

    /// How far each has come.
    pub(crate) fn told(&self) -> Vec<i64> {
        self.told.iter().map(|told| told.load(Ordering::Relaxed)).collect()
    }
}

struct Watcher {
    cluster: Arc<Cluster>,
    number: usize,
    /// The member it watches; none: any.
    home: Option<usize>,
    /// The revision it must be told next; none: not known before the first answer.
    next: Option<i64>,
    is_slow: bool,
    fragment: bool,
    prev_kv: bool,
    /// Fragments of an answer that is not whole yet.
    pieces: Vec<Event>,
    told: Arc<AtomicI64>,
    hurry: Arc<AtomicBool>,
    dice: Dice,
}

impl Watcher {
    async fn work(mut self) {
        loop {
            let member = self.home.unwrap_or_else(|| self.dice.below(self.cluster.size()));
            match self.cluster.process(member) {
                Some(process) => match self.watch(&process).await {
                    Ok(()) => {}
                    Err(what) => return self.found(&process, &what),
                },
                None => clock::pass(self.dice.millis(1, 100)).await,
            }
        }
    }

    /// One stream, until its process dies, history is compacted, or the watcher wants another.
    ///
    /// *Errors*: what is wrong with what it was told.
    async fn watch(&mut self, process: &Process) -> Result<(), String> {
        let (control, requests) = mpsc::unbounded_channel();
        control.send(self.request()).expect("the receiver is here");
        let requests = stream::unfold(requests, |mut requests| async move {
            requests.recv().await.map(|request| (request, requests))
        });
        let mut watches = process.watches();
        let opened = tokio::select! {
            biased;
            () = process.observer.died() => return Ok(()),
            opened = watches.watch(requests) => opened,
        };
        let mut output = match opened {
            Ok(opened) => opened.into_inner(),
            Err(status) => return self.ended(&status).await,
        };
        self.pieces.clear();
        let enough = clock::pass(self.dice.millis(1_000, 10_000));
        let mut enough = std::pin::pin!(enough);
        loop {
            let answer = tokio::select! {
                biased;
                () = process.observer.died() => return Ok(()),
                answer = output.message() => answer,
                () = &mut enough => return Ok(()),
            };
            match answer {
                Ok(Some(answer)) => {
                    if !self.hear(process, answer)? {
                        return Ok(());
                    }
                }
                Ok(None) => return Err("a watch ended without a word".to_owned()),
                Err(status) => return self.ended(&status).await,
            }
            self.dawdle(&control).await;
        }
    }

    /// A stream ended: its member stops, or something is wrong.
    async fn ended(&mut self, status: &tonic::Status) -> Result<(), String> {
        if status.message() != EtcdError::Stopped.message() {
            return Err(format!("a watch failed: {status}"));
        }
        clock::pass(self.dice.millis(1, 100)).await;
        Ok(())
    }

    fn request(&self) -> WatchRequest {
        let everything = bytes::Bytes::from_static(&[0]);
        let create = WatchCreateRequest {
            key: everything.clone(),
            range_end: everything,
            start_revision: self.next.unwrap_or(0),
            prev_kv: self.prev_kv,
            fragment: self.fragment,
            progress_notify: true,
            ..WatchCreateRequest::default()
        };
        WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) }
    }

    async fn dawdle(&mut self, control: &mpsc::UnboundedSender<WatchRequest>) {
        if self.dice.chance(100) {
            let ask = RequestUnion::ProgressRequest(WatchProgressRequest {});
            // A stream that is over takes none.
            drop(control.send(WatchRequest { request_union: Some(ask) }));
        }
        if self.is_slow && !self.hurry.load(Ordering::Relaxed) {
            clock::pass(self.dice.millis(0, 100)).await;
        }
    }

    fn found(&self, process: &Process, what: &str) {
        let process = process.observer.process;
        self.cluster.world.found(format_args!("watcher {} on {process}: {what}", self.number));
    }

    /// Takes an answer; false when the stream is over.
    fn hear(&mut self, process: &Process, answer: WatchResponse) -> Result<bool, String> {
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        if answer.canceled {
            return self.hear_canceled(&answer);
        }
        if answer.created {
            let next = *self.next.get_or_insert(revision + 1);
            self.told.fetch_max(next - 1, Ordering::Relaxed);
            return Ok(true);
        }
        let events = answer.events;
        if events.is_empty() && !answer.fragment && self.pieces.is_empty() {
            return self.hear_progress(revision);
        }
        self.pieces.extend(events);
        if !answer.fragment {
            let events = std::mem::take(&mut self.pieces);
            self.hear_events(process, &events)?;
        }
        Ok(true)
    }

    fn hear_canceled(&mut self, answer: &WatchResponse) -> Result<bool, String> {
        let compacted = answer.compact_revision;
        match self.next {
            Some(next) if compacted > next => {
                self.next = Some(compacted);
                self.told.fetch_max(compacted - 1, Ordering::Relaxed);
                Ok(false)
            }
            next => Err(format!(
                "canceled at {next:?}: compacted {compacted}, reason {:?}",
                answer.cancel_reason
            )),
        }
    }

    fn hear_progress(&self, revision: i64) -> Result<bool, String> {
        match self.next {
            Some(next) if revision < next => Ok(true),
            // From its first revision on a fresh store has nothing to tell.
            Some(1) if revision == 1 => Ok(true),
            next => {
                Err(format!("progress {revision}, but the next revision to be told is {next:?}"))
            }
        }
    }

    fn hear_events(&mut self, process: &Process, events: &[Event]) -> Result<(), String> {
        let revision_of = |event: &Event| event.kv.as_ref().map_or(0, |kv| kv.mod_revision);
        for events in events.chunk_by(|one, other| revision_of(one) == revision_of(other)) {
            let revision = revision_of(&events[0]);
            // A fresh store is at revision 1, which nothing made.
            let next = self.next.map(|next| next.max(2));
            if next != Some(revision) {
                return Err(format!("told revision {revision}, but {next:?} is next"));
            }
            self.compare(process, revision, events)?;
            self.next = Some(revision + 1);
            self.told.store(revision, Ordering::Relaxed);
        }
        let (number, process) = (self.number, process.observer.process);
        self.cluster.world.note(format_args!("w{number} {process} told up to {:?}", self.next));
        Ok(())
    }

    fn compare(&self, process: &Process, revision: i64, events: &[Event]) -> Result<(), String> {
        let ledger = self.cluster.world.ledger.lock();
        let is_delete = |event: &Event| event.r#type == i32::from(EventType::Delete);
        let told =
            events.iter().filter_map(|event| Some(change(event.kv.as_ref()?, is_delete(event))));
        let told: Vec<_> = told.collect();
        let right = ledger.at(revision).map(|written| &written.changes);
        if right != Some(&told) {
            return Err(format!("revision {revision} was told as {told:?}, but it is {right:?}"));
        }
        let compacted = process.reader().compacted_revision().0;
        for (event, change) in events.iter().zip(&told).filter(|_| self.prev_kv) {
            let before = ledger.value(&change.key, revision - 1);
            let previous = event.prev_kv.as_ref().map(|kv| (kv.mod_revision, kv.value.as_ref()));
            let right = before.map(|(at, value)| (at, value.as_bytes()));
            // The value before may be gone with its revision.
            if previous != right && !(previous.is_none() && compacted >= revision) {
                return Err(format!("previous value of {change:?} told as {previous:?}"));
            }
        }
        Ok(())
    }
}
