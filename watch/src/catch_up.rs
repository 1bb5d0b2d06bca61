//! One round of reading history for the watchers of a stream that are behind.
//!
//! A round takes the watcher that waited longest and others that stand within one read of it, reads
//! once, and gives each what it wants. Those that are within one read of the published revision are
//! made live *before* the read, so that what is published meanwhile is queued for them and a fast
//! writer cannot outrun them; the answers of the round go out before anything queued.
//!
//! Invariants: a round reads at most `catch_up_revisions_max` revisions once, and makes at most
//! about `catch_up_bytes_max` bytes of answers; a watcher it does not finish stays behind at the
//! first revision it has not got. No lock is held while history is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use store::{EventLimits, ReadError, Revision, RevisionEvents};

use crate::batch::{Batch, Encoder, Pick};
use crate::index::SpanIndex;
use crate::interest::Interest;
use crate::interval::Slot;
use crate::output::WatchOutput;
use crate::response;
use crate::stream::State;
use crate::watcher::{Mode, Serial};

/// How many waiting watchers a round looks at for each that it may serve.
const LOOKED_AT_PER_SERVED: usize = 4;

/// A watcher that a round serves.
struct Served {
    id: i64,
    serial: Serial,
    interest: Arc<Interest>,
    fragment: bool,
    next: Revision,
    /// The last revision up to which it has everything after the round.
    reached: Revision,
    /// It was given events.
    heard: bool,
}

/// What a round is about.
struct Round {
    served: Vec<Served>,
    /// The published revision when the round began.
    target: Revision,
    /// The watchers were made live from `target + 1` on.
    joined: bool,
}

/// Watchers of one interest that stand at one revision, by their places in the round. The first of
/// them has the round's longest-waiting watcher.
type Cohorts = BTreeMap<(usize, Revision), Vec<usize>>;

impl WatchOutput {
    /// Serves some of the watchers that are behind.
    ///
    /// *Errors*: this member's storage failed.
    pub(crate) fn catch_up(&mut self) -> Result<(), ReadError> {
        let Some(mut round) = self.begin_round() else { return Ok(()) };
        match self.read(&round) {
            Ok(Some((revisions, covered))) => self.serve(&mut round, &revisions, covered)?,
            Ok(None) => round.finish_all(),
            // Compacted since the round began: the next one finds out who is concerned.
            Err(ReadError::Compacted { .. }) => {}
            Err(error) => return Err(error),
        }
        self.end_round(&round);
        Ok(())
    }

    fn begin_round(&mut self) -> Option<Round> {
        let shared = Arc::clone(&self.shared);
        let stream = Arc::clone(&self.stream);
        let compacted = shared.history.compacted_revision();
        let mut registry = shared.registry.lock();
        let mut state = stream.state.lock();
        let target = registry.published;
        let mut served: Vec<Served> = Vec::new();
        let span = shared.limits.catch_up_revisions_max as i64;
        let watchers_max = shared.limits.catch_up_watchers_max;
        for _ in 0..state.behind.len().min(watchers_max * LOOKED_AT_PER_SERVED) {
            if served.len() >= watchers_max {
                break;
            }
            let Some((id, serial)) = state.behind.pop_front() else { break };
            let Some(next) = behind_at(&state, id, serial) else { continue };
            if next < compacted {
                registry.remove(&stream, &mut state, id);
                self.ready.push_back(response::compacted(id, compacted));
                continue;
            }
            let leader = served.first().map_or(next, |leader| leader.next);
            if next < leader || next.0 - leader.0 >= span {
                state.behind.push_back((id, serial));
                continue;
            }
            served.extend(Served::of(&state, id, next));
        }
        let leader = served.first()?.next;
        let joined = target.0 - leader.0 < span;
        if joined {
            for one in &served {
                registry.go_live(&stream, &mut state, one.id, Revision(target.0 + 1));
            }
        }
        Some(Round { served, target, joined })
    }

    /// The events from the round's first revision on, and the last revision that they cover.
    /// `None` when there is nothing to read.
    fn read(&self, round: &Round) -> Result<Option<(Vec<RevisionEvents>, Revision)>, ReadError> {
        let from = round.served[0].next;
        if from > round.target {
            return Ok(None);
        }
        let limits = EventLimits {
            revisions_max: self.shared.limits.catch_up_revisions_max,
            bytes_max: self.shared.limits.catch_up_bytes_max,
        };
        let revisions = self.shared.history.events(from, round.target, limits)?;
        let covered = revisions.last().map_or(round.target, |last| last.revision);
        Ok(Some((revisions, covered)))
    }

    fn serve(
        &mut self,
        round: &mut Round,
        revisions: &[RevisionEvents],
        covered: Revision,
    ) -> Result<(), ReadError> {
        let shared = Arc::clone(&self.shared);
        let (interests, cohorts) = round.cohorts();
        let picks = picks(&interests, revisions);
        let mut encoder = Encoder::new(revisions, shared.limits.response_bytes_max);
        let mut bytes = 0;
        for ((interest, next), places) in cohorts {
            if bytes >= shared.limits.catch_up_bytes_max {
                break;
            }
            let due = revisions.partition_point(|revision| revision.revision < next) as u32;
            let skipped = picks[interest].partition_point(|pick| pick.0 < due);
            let batches = encoder.batches(&picks[interest][skipped..], interests[interest].prev_kv);
            let reached =
                self.serve_cohort(round, &places, &batches, &mut bytes)?.unwrap_or(covered);
            for place in places {
                let one = &mut round.served[place];
                one.reached = one.reached.max(reached);
            }
        }
        Ok(())
    }

    /// Gives the batches to the watchers. Gives the last revision they have then, if it stopped at
    /// the byte bound.
    fn serve_cohort(
        &mut self,
        round: &mut Round,
        places: &[usize],
        batches: &[Arc<Batch>],
        bytes: &mut usize,
    ) -> Result<Option<Revision>, ReadError> {
        let shared = Arc::clone(&self.shared);
        for batch in batches {
            if *bytes >= shared.limits.catch_up_bytes_max {
                return Ok(Some(Revision(batch.first.0 - 1)));
            }
            let events = batch.encoded(&*shared.history)?;
            *bytes += events.len();
            for place in places {
                let one = &mut round.served[*place];
                one.heard = true;
                self.emit(one.id, one.fragment, round.target, &events);
            }
            shared.counters.events_total.add(batch.events * places.len());
        }
        Ok(None)
    }

    fn end_round(&mut self, round: &Round) {
        let mut registry = self.shared.registry.lock();
        let mut state = self.stream.state.lock();
        let mut demoted = false;
        for one in &round.served {
            let finished = round.joined && one.reached >= round.target;
            let Some(watcher) = state.watchers.get_mut(&one.id) else { continue };
            if watcher.serial != one.serial {
                continue;
            }
            watcher.idle &= !one.heard;
            if finished {
                continue;
            }
            let next = Revision(one.reached.0 + 1);
            let live = matches!(watcher.mode, Mode::Live(_));
            match live {
                true => registry.demote(&self.stream, &mut state, one.id, next),
                false => watcher.next = next,
            }
            // One that became live and fell behind during the round is listed already.
            if live || !round.joined {
                state.behind.push_back((one.id, one.serial));
            }
            demoted |= live;
        }
        if demoted {
            state.drop_progress();
        }
    }
}

impl Served {
    fn of(state: &State, id: i64, next: Revision) -> Option<Self> {
        let watcher = state.watchers.get(&id)?;
        Some(Self {
            id,
            serial: watcher.serial,
            interest: Arc::clone(&watcher.interest),
            fragment: watcher.fragment,
            next,
            reached: Revision(next.0 - 1),
            heard: false,
        })
    }
}

impl Round {
    fn finish_all(&mut self) {
        self.served.iter_mut().for_each(|one| one.reached = self.target);
    }

    fn cohorts(&self) -> (Vec<Arc<Interest>>, Cohorts) {
        let (mut interests, mut cohorts) = (Vec::new(), Cohorts::new());
        let mut places: HashMap<&Interest, usize> = HashMap::new();
        for (place, one) in self.served.iter().enumerate() {
            let interest = *places.entry(&one.interest).or_insert_with(|| {
                interests.push(Arc::clone(&one.interest));
                interests.len() - 1
            });
            cohorts.entry((interest, one.next)).or_default().push(place);
        }
        (interests, cohorts)
    }
}

/// Which events each interest wants, in order.
fn picks(interests: &[Arc<Interest>], revisions: &[RevisionEvents]) -> Vec<Vec<Pick>> {
    let mut index = SpanIndex::default();
    for (slot, interest) in interests.iter().enumerate() {
        index.insert(&interest.span, slot as Slot);
    }
    let mut picks = vec![Vec::new(); interests.len()];
    for (revision_place, revision) in revisions.iter().enumerate() {
        for (place, event) in revision.events.iter().enumerate() {
            index.visit(&event.key, &mut |slot| {
                if interests[slot as usize].wants(event.kind) {
                    picks[slot as usize].push((revision_place as u32, place as u32));
                }
            });
        }
    }
    picks
}

fn behind_at(state: &State, id: i64, serial: Serial) -> Option<Revision> {
    let watcher = state.watchers.get(&id)?;
    (watcher.serial == serial && watcher.mode == Mode::Behind).then_some(watcher.next)
}
