//! Stands where a member's applying can be seen: every write of its engine, every publishing.
//!
//! Invariants checked, at each of them: the applied index rises by one (or jumps by an install),
//! the revision never falls and skips none, positions and revisions are those of the ledger,
//! compacted ≤ current, the state shows a batch before it is published, leases are those of the
//! lease book. A process that died is not heard any more: what its tasks still do is done by a
//! ghost.
//!
//! Must not know: links, clients.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use raft::Publisher;
use store::{AppliedBatch, Reader, Revision, RevisionEvents};
use tokio::sync::watch as channel;

use crate::canary::Canary;
use crate::durability::Disks;
use crate::lease_book;
use crate::random::Dice;
use crate::world::World;

/// One batch in so many is looked for on the disks of a quorum.
const DURABILITY_SAMPLE_PER_MILLE: u32 = 60;

/// The observer of one process of one member.
pub(crate) struct Observer {
    world: Arc<World>,
    disks: Arc<Disks>,
    /// The member, and which of its processes this is.
    pub(crate) process: ProcessName,
    died: channel::Sender<bool>,
    reader: OnceLock<Reader>,
    /// The revision up to which watchers were told.
    published: AtomicI64,
    seen: Mutex<Seen>,
    dice: Mutex<Dice>,
}

/// A member's number and how often it was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessName {
    pub(crate) member: usize,
    pub(crate) start: u64,
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}.{}", self.member, self.start)
    }
}

#[derive(Default)]
struct Seen {
    applied: Option<u64>,
    revision: Option<i64>,
    /// An install lets the applied index jump.
    jumped: bool,
}

impl Observer {
    pub(crate) fn new(world: &Arc<World>, disks: &Arc<Disks>, process: ProcessName) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            disks: Arc::clone(disks),
            process,
            died: channel::Sender::new(false),
            reader: OnceLock::new(),
            published: AtomicI64::new(0),
            seen: Mutex::default(),
            dice: Mutex::new(world.dice(&format!("observer of {process}"))),
        })
    }

    /// The member has started: from here on its state is looked at.
    pub(crate) fn open(&self, reader: &Reader) {
        assert!(self.reader.set(reader.clone()).is_ok(), "a process is opened once");
        self.published.store(reader.revision().0, Ordering::Relaxed);
        self.look();
        self.look_at_leases();
    }

    /// What stands between consensus and `told`, which tells the member's watchers.
    pub(crate) fn stand_before(self: Arc<Self>, told: Arc<dyn Publisher>) -> Arc<dyn Publisher> {
        Arc::new(Onlooker { observer: self, told })
    }

    /// The process is gone.
    pub(crate) fn die(&self) {
        self.died.send_replace(true);
    }

    pub(crate) fn is_dead(&self) -> bool {
        *self.died.borrow()
    }

    /// Ends when the process dies.
    pub(crate) async fn died(&self) {
        let mut died = self.died.subscribe();
        drop(died.wait_for(|died| *died).await);
    }

    /// The revision up to which watchers were told.
    pub(crate) fn published(&self) -> i64 {
        self.published.load(Ordering::Relaxed)
    }

    /// The engine is about to write: what was applied before shows in the state.
    pub(crate) fn look(&self) {
        let Some(reader) = self.reader.get().filter(|_| !self.is_dead()) else { return };
        let (log_id, digest) = reader.digest_at_applied();
        let (compacted, current) = (reader.compacted_revision(), reader.revision());
        if compacted > current {
            self.found(format_args!("compacted {compacted} is above the current {current}"));
        }
        if log_id.index == 0 {
            return;
        }
        let mut seen = self.seen.lock();
        let jumped = std::mem::take(&mut seen.jumped);
        let before = seen.applied.replace(log_id.index);
        drop(seen);
        let follows = before.is_none_or(|before| {
            (before..=before + 1).contains(&log_id.index) || (jumped && before < log_id.index)
        });
        if !follows {
            self.found(format_args!("entry {log_id} was applied after {before:?}"));
        }
        let noted = self.world.ledger.lock().applied(log_id, digest);
        if before != Some(log_id.index) {
            self.world.note(format_args!(
                "{} applied {log_id} digest {digest} revision {current} compacted {compacted}",
                self.process
            ));
        }
        match noted {
            Ok(true) if self.dice.lock().chance(DURABILITY_SAMPLE_PER_MILLE) => {
                self.world.check(self.process, self.disks.check(log_id));
            }
            Ok(_) => {}
            Err(what) => self.found(format_args!("{what}")),
        }
    }

    fn look_at_leases(&self) {
        let Some(reader) = self.reader.get() else { return };
        let living = lease_book::ids(reader.leases());
        let noted = self.world.leases.lock().state(reader.applied().index, &living);
        self.world.check(self.process, noted);
    }

    fn found(&self, what: fmt::Arguments<'_>) {
        self.world.found(format_args!("{}: {what}", self.process));
    }

    /// Compares revisions with the ledger, and with those before.
    fn compare(&self, events: &[RevisionEvents]) {
        for revision in events {
            let noted = self.world.ledger.lock().published(revision);
            self.world.check(self.process, noted);
            let now = revision.revision.0;
            let before = self.seen.lock().revision.replace(now);
            if before.is_some_and(|before| before + 1 != now) {
                self.found(format_args!("published revision {now} after {before:?}"));
            }
        }
    }

    /// What the watchers are told; the truth, unless a bug is planted.
    fn tell(&self, told: &dyn Publisher, batch: &AppliedBatch) {
        let planted = self.world.plants(Canary::LostEvent) && self.process.member == 1;
        match batch.events.split_last() {
            Some((last, earlier)) if planted && self.dice.lock().chance(50) => {
                let mut events = earlier.to_vec();
                let kept = last.events[1..].into();
                events.push(RevisionEvents { revision: last.revision, events: kept });
                told.publish(&AppliedBatch { events, ..batch.clone() });
            }
            _ => told.publish(batch),
        }
        self.published.store(batch.revision.0, Ordering::Relaxed);
    }
}

struct Onlooker {
    observer: Arc<Observer>,
    told: Arc<dyn Publisher>,
}

impl Publisher for Onlooker {
    fn publish(&self, batch: &AppliedBatch) {
        let Onlooker { observer, told } = self;
        if observer.is_dead() {
            return;
        }
        observer.look();
        observer.compare(&batch.events);
        let followed = observer.world.leases.lock().follow(&batch.events);
        observer.world.check(observer.process, followed);
        observer.look_at_leases();
        if let Some(shown) = observer.reader.get().map(Reader::revision)
            && shown < batch.revision
        {
            observer.found(format_args!("revision {} is published, {shown} shown", batch.revision));
        }
        observer.tell(&**told, batch);
    }

    fn installed(&self, revision: Revision) {
        let Onlooker { observer, told } = self;
        if observer.is_dead() {
            return;
        }
        observer.world.note(format_args!("{} installed revision {revision}", observer.process));
        let mut seen = observer.seen.lock();
        if seen.revision.is_some_and(|before| before > revision.0) {
            observer.found(format_args!("installed {revision} after {:?}", seen.revision));
        }
        (seen.revision, seen.jumped) = (Some(revision.0), true);
        drop(seen);
        told.installed(revision);
        observer.published.store(revision.0, Ordering::Relaxed);
        observer.look();
    }
}
