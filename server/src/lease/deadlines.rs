//! When each lease ends, as the leader's clock says. Pure: time comes in as an argument.
//!
//! Invariants: there are deadlines only while this member leads (`term` is set); whether a lease
//! exists is the store's word, not ours: a deadline without a lease is dropped when it is met, a
//! lease without a deadline is given one when it is granted or when the leader takes office.
//! Must not know: the log, sockets, which lease has which keys.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use store::LeaseId;

use crate::clock::Moment;
use crate::limits::LEASE_REVOKE_RETRY;

/// What the store knows of a lease when a leader takes office.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownLease {
    /// Its id.
    pub(crate) id: LeaseId,
    /// The time it was granted for, in seconds.
    pub(crate) granted_ttl_s: i64,
    /// The checkpointed remaining time in seconds; 0 when there is none.
    pub(crate) remaining_ttl_s: i64,
}

/// The answer to a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// This member does not lead.
    NotLeading,
    /// There is no deadline for this lease (yet).
    Unknown,
    /// The deadline has passed; the revoke is under way.
    Expired,
    /// The remaining time is on its way into the log, or got there since it was asked last: it must
    /// be cleared after it, or a new leader would end the renewed lease early.
    Checkpointing,
    /// The deadline was moved.
    Renewed,
}

#[derive(Debug, Clone, Copy)]
struct Deadline {
    at: Moment,
    ttl: Duration,
    /// When this lease is looked at next; `at`, or later after a revoke was tried.
    scan_at: Moment,
    checkpoint_at: Option<Moment>,
    checkpoints: Checkpoints,
}

/// How often the remaining time of a lease was handed out for the log, and what became of it.
#[derive(Debug, Clone, Copy, Default)]
struct Checkpoints {
    handed_out: u32,
    /// The newest of them that a renewal has cleared.
    cleared: u32,
    /// It is not known yet whether the newest is in the log.
    on_its_way: bool,
}

/// All deadlines of the leader.
#[derive(Debug)]
pub(crate) struct Deadlines {
    checkpoint_interval: Duration,
    term: Option<u64>,
    by_id: HashMap<LeaseId, Deadline>,
    scans: BTreeSet<(Moment, LeaseId)>,
    checkpoints: BTreeSet<(Moment, LeaseId)>,
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

impl Deadlines {
    /// No deadlines; long leases are checkpointed this often.
    pub(crate) fn new(checkpoint_interval: Duration) -> Self {
        Deadlines {
            checkpoint_interval,
            term: None,
            by_id: HashMap::new(),
            scans: BTreeSet::new(),
            checkpoints: BTreeSet::new(),
        }
    }

    /// The term in which this member leads and keeps time.
    pub(crate) fn term(&self) -> Option<u64> {
        self.term
    }

    /// Takes office: every lease gets its remaining time (or its full time) and `extend` on top,
    /// because its holder could not reach a leader for that long.
    pub(crate) fn take_office(
        &mut self,
        term: u64,
        leases: impl Iterator<Item = KnownLease>,
        extend: Duration,
        now: Moment,
    ) {
        self.leave_office();
        self.term = Some(term);
        for lease in leases {
            let remaining = match lease.remaining_ttl_s {
                0 => lease.granted_ttl_s,
                remaining => remaining,
            };
            let at = now.plus(seconds(remaining)).plus(extend);
            self.set(lease.id, at, seconds(lease.granted_ttl_s), now);
        }
    }

    /// Forgets everything: somebody else keeps time now.
    pub(crate) fn leave_office(&mut self) {
        *self = Deadlines::new(self.checkpoint_interval);
    }

    /// A lease was granted. Nothing happens when this member does not lead.
    pub(crate) fn granted(&mut self, id: LeaseId, ttl_s: i64, now: Moment) {
        if self.term.is_some() {
            let ttl = seconds(ttl_s);
            self.set(id, now.plus(ttl), ttl, now);
        }
    }

    /// Whether the lease could be renewed now, without doing it.
    pub(crate) fn may_renew(&self, id: LeaseId, now: Moment) -> Renewal {
        match (self.term, self.by_id.get(&id)) {
            (None, _) => Renewal::NotLeading,
            (_, None) => Renewal::Unknown,
            (_, Some(deadline)) if deadline.at <= now => Renewal::Expired,
            (_, Some(deadline)) if deadline.checkpoints.on_its_way => Renewal::Checkpointing,
            _ => Renewal::Renewed,
        }
    }

    /// How many times the remaining time was handed out, and whether the log may hold one that no
    /// renewal has cleared.
    pub(crate) fn checkpointed(&self, id: LeaseId) -> (u32, bool) {
        let checkpoints = self.by_id.get(&id).map(|deadline| deadline.checkpoints);
        let Checkpoints { handed_out, cleared, .. } = checkpoints.unwrap_or_default();
        (handed_out, handed_out != cleared)
    }

    /// Moves the deadline of a lease to its full time from now. Whatever was handed out for the log
    /// up to the count `cleared` must be cleared there.
    pub(crate) fn renew(&mut self, id: LeaseId, cleared: u32, now: Moment) -> Renewal {
        let answer = self.may_renew(id, now);
        let (Renewal::Renewed, Some(deadline)) = (answer, self.by_id.get_mut(&id)) else {
            return answer;
        };
        if deadline.checkpoints.handed_out != cleared {
            return Renewal::Checkpointing;
        }
        deadline.checkpoints.cleared = cleared;
        let ttl = deadline.ttl;
        self.set(id, now.plus(ttl), ttl, now);
        answer
    }

    /// The remaining times that were handed out in this term are in the log, or will never be, or
    /// come before everything that is proposed from here on.
    pub(crate) fn checkpoints_decided(&mut self, term: u64, ids: &[LeaseId]) {
        if self.term == Some(term) {
            for id in ids {
                if let Some(deadline) = self.by_id.get_mut(id) {
                    deadline.checkpoints.on_its_way = false;
                }
            }
        }
    }

    /// The time a lease still has; zero when it is past.
    pub(crate) fn remaining(&self, id: LeaseId, now: Moment) -> Option<Duration> {
        self.by_id.get(&id).map(|deadline| now.until(deadline.at))
    }

    /// The moment a lease ends.
    pub(crate) fn deadline(&self, id: LeaseId) -> Option<Moment> {
        self.by_id.get(&id).map(|deadline| deadline.at)
    }

    /// At most `limit` leases whose time is over; each is given again only after a while, for the
    /// case that its revoke failed.
    pub(crate) fn expired(&mut self, now: Moment, limit: usize) -> Vec<LeaseId> {
        let mut over = Vec::new();
        while over.len() < limit {
            let Some(&(at, id)) = self.scans.first() else { break };
            if at > now {
                break;
            }
            self.scans.pop_first();
            if let Some(deadline) = self.by_id.get_mut(&id) {
                deadline.scan_at = now.plus(LEASE_REVOKE_RETRY);
                self.scans.insert((deadline.scan_at, id));
                over.push(id);
            }
        }
        over
    }

    /// At most `limit` leases whose remaining time (whole seconds, rounded up) is due to be
    /// written into the log.
    pub(crate) fn due_checkpoints(&mut self, now: Moment, limit: usize) -> Vec<(LeaseId, i64)> {
        let mut due = Vec::new();
        while due.len() < limit {
            let Some(&(at, id)) = self.checkpoints.first() else { break };
            if at > now {
                break;
            }
            self.checkpoints.pop_first();
            let Some(deadline) = self.by_id.get_mut(&id) else { continue };
            deadline.checkpoint_at = None;
            let remaining = now.until(deadline.at);
            if remaining.is_zero() {
                continue;
            }
            if remaining < deadline.ttl {
                deadline.checkpoints.handed_out += 1;
                deadline.checkpoints.on_its_way = true;
                due.push((id, remaining.as_millis().div_ceil(1000) as i64));
            }
            self.schedule_checkpoint(id, now);
        }
        due
    }

    /// Drops the deadline of a lease that is gone.
    pub(crate) fn forget(&mut self, id: LeaseId) {
        if let Some(deadline) = self.by_id.remove(&id) {
            self.scans.remove(&(deadline.scan_at, id));
            if let Some(at) = deadline.checkpoint_at {
                self.checkpoints.remove(&(at, id));
            }
        }
    }

    /// Drops every deadline whose lease is gone.
    pub(crate) fn retain(&mut self, exists: impl Fn(LeaseId) -> bool) {
        let gone: Vec<LeaseId> = self.by_id.keys().copied().filter(|id| !exists(*id)).collect();
        for id in gone {
            self.forget(id);
        }
    }

    /// How many deadlines are kept.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    fn set(&mut self, id: LeaseId, at: Moment, ttl: Duration, now: Moment) {
        let old = self.by_id.get(&id).copied();
        if let Some(old) = old {
            self.scans.remove(&(old.scan_at, id));
        }
        let checkpoint_at = old.and_then(|old| old.checkpoint_at);
        let checkpoints = old.map(|old| old.checkpoints).unwrap_or_default();
        self.by_id.insert(id, Deadline { at, ttl, scan_at: at, checkpoint_at, checkpoints });
        self.scans.insert((at, id));
        self.schedule_checkpoint(id, now);
    }

    /// Compat: etcd checkpoints only what still has more than one interval to go.
    fn schedule_checkpoint(&mut self, id: LeaseId, now: Moment) {
        let Some(deadline) = self.by_id.get_mut(&id) else { return };
        let long = now.until(deadline.at) > self.checkpoint_interval;
        if long && deadline.checkpoint_at.is_none() {
            let at = now.plus(self.checkpoint_interval);
            deadline.checkpoint_at = Some(at);
            self.checkpoints.insert((at, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LEASE_CHECKPOINT_INTERVAL;

    fn at(s: u64) -> Moment {
        Moment(Duration::from_secs(s))
    }

    fn known(id: i64, granted_ttl_s: i64, remaining_ttl_s: i64) -> KnownLease {
        KnownLease { id: LeaseId(id), granted_ttl_s, remaining_ttl_s }
    }

    fn leading() -> Deadlines {
        let mut deadlines = Deadlines::new(LEASE_CHECKPOINT_INTERVAL);
        deadlines.take_office(3, std::iter::empty(), Duration::ZERO, at(0));
        deadlines
    }

    #[test]
    fn only_a_leader_keeps_time() {
        let mut deadlines = Deadlines::new(LEASE_CHECKPOINT_INTERVAL);
        deadlines.granted(LeaseId(1), 10, at(0));
        assert_eq!(deadlines.len(), 0);
        assert_eq!(deadlines.renew(LeaseId(1), 0, at(0)), Renewal::NotLeading);
        assert!(deadlines.expired(at(100), 10).is_empty());
    }

    #[test]
    fn a_lease_ends_at_its_time_and_a_renewal_moves_it() {
        let mut deadlines = leading();
        deadlines.granted(LeaseId(1), 10, at(0));
        assert!(deadlines.expired(at(9), 10).is_empty());
        assert_eq!(deadlines.renew(LeaseId(1), 0, at(9)), Renewal::Renewed);
        assert!(deadlines.expired(at(18), 10).is_empty());
        assert_eq!(deadlines.expired(at(19), 10), [LeaseId(1)]);
        assert_eq!(deadlines.renew(LeaseId(1), 0, at(19)), Renewal::Expired);
        assert_eq!(deadlines.renew(LeaseId(2), 0, at(19)), Renewal::Unknown);
    }

    #[test]
    fn a_failed_revoke_is_tried_again_and_a_done_one_is_not() {
        let mut deadlines = leading();
        deadlines.granted(LeaseId(1), 2, at(0));
        assert_eq!(deadlines.expired(at(2), 10), [LeaseId(1)]);
        assert!(deadlines.expired(at(4), 10).is_empty());
        assert_eq!(deadlines.expired(at(5), 10), [LeaseId(1)]);
        deadlines.forget(LeaseId(1));
        assert!(deadlines.expired(at(100), 10).is_empty());
        assert_eq!(deadlines.len(), 0);
    }

    #[test]
    fn one_scan_gives_no_more_than_its_limit() {
        let mut deadlines = leading();
        for id in 1..=10 {
            deadlines.granted(LeaseId(id), 2, at(0));
        }
        assert_eq!(deadlines.expired(at(2), 4).len(), 4);
        assert_eq!(deadlines.expired(at(2), 100).len(), 6);
    }

    #[test]
    fn a_new_leader_starts_from_the_checkpointed_time_and_adds_the_election() {
        let mut deadlines = Deadlines::new(LEASE_CHECKPOINT_INTERVAL);
        let leases = [known(1, 1000, 400), known(2, 1000, 0)];
        deadlines.take_office(4, leases.into_iter(), Duration::from_secs(1), at(50));
        assert_eq!(deadlines.remaining(LeaseId(1), at(50)), Some(Duration::from_secs(401)));
        assert_eq!(deadlines.remaining(LeaseId(2), at(50)), Some(Duration::from_secs(1001)));
        deadlines.leave_office();
        assert_eq!(deadlines.remaining(LeaseId(1), at(50)), None);
    }

    #[test]
    fn long_leases_are_checkpointed_every_interval_until_they_are_short() {
        let mut deadlines = leading();
        deadlines.granted(LeaseId(1), 1000, at(0));
        deadlines.granted(LeaseId(2), 300, at(0));
        assert!(deadlines.due_checkpoints(at(299), 10).is_empty());
        assert_eq!(deadlines.due_checkpoints(at(300), 10), [(LeaseId(1), 700)]);
        assert_eq!(deadlines.due_checkpoints(at(600), 10), [(LeaseId(1), 400)]);
        assert_eq!(deadlines.due_checkpoints(at(900), 10), [(LeaseId(1), 100)]);
        assert!(deadlines.due_checkpoints(at(2000), 10).is_empty());
    }

    #[test]
    fn a_renewal_clears_the_remaining_time_that_is_on_its_way_into_the_log() {
        let mut deadlines = leading();
        deadlines.granted(LeaseId(1), 1000, at(0));
        assert_eq!(deadlines.checkpointed(LeaseId(1)), (0, false));
        assert_eq!(deadlines.due_checkpoints(at(300), 10), [(LeaseId(1), 700)]);
        assert_eq!(deadlines.may_renew(LeaseId(1), at(301)), Renewal::Checkpointing);
        assert_eq!(deadlines.renew(LeaseId(1), 0, at(301)), Renewal::Checkpointing);
        deadlines.checkpoints_decided(2, &[LeaseId(1)]);
        assert_eq!(deadlines.may_renew(LeaseId(1), at(301)), Renewal::Checkpointing);
        deadlines.checkpoints_decided(3, &[LeaseId(1)]);
        assert_eq!(deadlines.may_renew(LeaseId(1), at(301)), Renewal::Renewed);
        assert_eq!(deadlines.checkpointed(LeaseId(1)), (1, true));
        // Whoever asked before it was handed out has not cleared it.
        assert_eq!(deadlines.renew(LeaseId(1), 0, at(301)), Renewal::Checkpointing);
        assert_eq!(deadlines.renew(LeaseId(1), 1, at(301)), Renewal::Renewed);
        assert_eq!(deadlines.checkpointed(LeaseId(1)), (1, false));
        assert_eq!(deadlines.remaining(LeaseId(1), at(301)), Some(Duration::from_secs(1000)));
    }

    #[test]
    fn deadlines_of_leases_that_are_gone_are_swept() {
        let mut deadlines = leading();
        for id in 1..=5 {
            deadlines.granted(LeaseId(id), 5000, at(0));
        }
        deadlines.retain(|id| id == LeaseId(3));
        assert_eq!(deadlines.len(), 1);
        assert_eq!(deadlines.due_checkpoints(at(300), 10), [(LeaseId(3), 4700)]);
    }
}
