//! Stands where a member's applying can be seen: every write of its engine, every publishing.
//!
//! Invariants checked, at each of them: the applied index rises by one (or jumps by an install),
//! the revision never falls and skips none, positions and revisions are those of the ledger,
//! compacted ≤ current, the state shows a batch before it is published. A process that died is not
//! heard any more: what its tasks still do is done by a ghost.
//!
//! Must not know: links, clients.

use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use raft::Publisher;
use store::{AppliedBatch, Reader, Revision, RevisionEvents};
use tokio::sync::watch as channel;
use watch::Hub;

use crate::canary::Canary;
use crate::durability::Disks;
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
    told: OnceLock<(Reader, Hub)>,
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
            told: OnceLock::new(),
            seen: Mutex::default(),
            dice: Mutex::new(world.dice(&format!("observer of {process}"))),
        })
    }

    /// The member has started: from here on its watchers are told.
    pub(crate) fn open(&self, reader: &Reader, hub: &Hub) {
        let opened = self.told.set((reader.clone(), hub.clone()));
        assert!(opened.is_ok(), "a process is opened once");
        self.look();
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
        self.told.get().map_or(0, |(_, hub)| hub.published().0)
    }

    /// The engine is about to write: what was applied before shows in the state.
    pub(crate) fn look(&self) {
        let Some((reader, _)) = self.told.get().filter(|_| !self.is_dead()) else { return };
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
    fn tell(&self, hub: &Hub, batch: &AppliedBatch) {
        let planted = self.world.plants(Canary::LostEvent) && self.process.member == 1;
        match batch.events.split_last() {
            Some((last, earlier)) if planted && self.dice.lock().chance(50) => {
                let mut fewer = earlier.to_vec();
                let kept = last.events[1..].into();
                fewer.push(RevisionEvents { revision: last.revision, events: kept });
                hub.publish(&fewer);
            }
            _ => hub.publish(&batch.events),
        }
    }
}

impl Publisher for Observer {
    fn publish(&self, batch: &AppliedBatch) {
        if self.is_dead() {
            return;
        }
        self.look();
        self.compare(&batch.events);
        let Some((reader, hub)) = self.told.get() else { return };
        if reader.revision() < batch.revision {
            let shown = reader.revision();
            self.found(format_args!("revision {} is published, {shown} shown", batch.revision));
        }
        self.tell(hub, batch);
    }

    fn installed(&self, revision: Revision) {
        if self.is_dead() {
            return;
        }
        self.world.note(format_args!("{} installed revision {revision}", self.process));
        let mut seen = self.seen.lock();
        if seen.revision.is_some_and(|before| before > revision.0) {
            self.found(format_args!("installed {revision} after {:?}", seen.revision));
        }
        (seen.revision, seen.jumped) = (Some(revision.0), true);
        drop(seen);
        if let Some((_, hub)) = self.told.get() {
            hub.installed(revision);
        }
        self.look();
    }
}
