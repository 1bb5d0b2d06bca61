//! The small tasks of a member: watching for leaders and compacting by itself.
//! Each runs until the member stops.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::etcdserverpb::{AlarmType, CompactionRequest};
use proto::log::command;
use proto::status::EtcdError;
use raft::Corruption;
use store::Revision;
use tokio::sync::watch as channel;
use tokio::time::MissedTickBehavior;

use crate::auth::Caller;
use crate::clock::Moment;
use crate::config::AutoCompaction;
use crate::errors::ServeError;
use crate::limits::NO_LEADER_TIMEOUTS_MAX;
use crate::member::Member;

/// Waits for the next tick; `false` when the member stops first.
async fn tick(ticks: &mut tokio::time::Interval, stopped: &mut channel::Receiver<bool>) -> bool {
    tokio::select! {
        _ = stopped.wait_for(|stopped| *stopped) => false,
        _ = ticks.tick() => true,
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Counts election timeouts without a leader. Compat: etcd ends the streams that asked for a
/// leader after three of them, because opening streams again costs more than a refused request.
pub(crate) async fn watch_for_leaders(member: Arc<Member>) {
    let mut ticks = every(member.config().election_timeout);
    let mut stopped = member.stopped();
    let mut without = 0;
    while tick(&mut ticks, &mut stopped).await {
        without = match member.leadership().leader {
            Some(_) => 0,
            None => without + 1,
        };
        let leaderless = without >= NO_LEADER_TIMEOUTS_MAX;
        member.leaderless.send_if_modified(|was| std::mem::replace(was, leaderless) != leaderless);
    }
}

/// Tells the whole cluster, through the log, whose state is corrupt. Only the leader hears all
/// members' digests. An alarm that was cleared comes back while the states still differ.
///
/// Compat: etcd names member 0 when nobody knows whose state is right.
pub(crate) async fn raise_corruption(member: Arc<Member>) {
    let mut ticks = every(member.config().election_timeout);
    let mut stopped = member.stopped();
    while tick(&mut ticks, &mut stopped).await {
        if !member.leadership().is_leader {
            continue;
        }
        let corrupt = match member.consensus().corruption() {
            Corruption::None => continue,
            Corruption::Of(members) => members.into_iter().map(|member| member.0).collect(),
            Corruption::Undecided => vec![0],
        };
        for member_id in corrupt {
            if let Err(error) = member.raise(member_id, AlarmType::Corrupt).await {
                tracing::warn!(%error, "the alarm about a corrupt member was not raised");
            }
        }
    }
}

/// Counts how often another leader was seen.
pub(crate) async fn count_leaders(member: Arc<Member>) {
    let mut changes = member.consensus().leadership_changes();
    let mut stopped = member.stopped();
    let mut last = None;
    loop {
        let leader = changes.borrow_and_update().leader;
        if leader.is_some() && leader != last {
            say_elected(&member, last, leader);
            last = leader;
            member.metrics().leader_changes.fetch_add(1, Ordering::Relaxed);
        }
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Compat: the lines that raft writes in etcd.
fn say_elected(member: &Member, before: Option<store::MemberId>, leader: Option<store::MemberId>) {
    let own = member.ids().member_id;
    let Some(leader) = leader.map(|leader| leader.0) else { return };
    let term = member.leadership().term;
    if leader == own {
        tracing::info!("{own:x} became leader at term {term}");
    }
    match before {
        None => tracing::info!("raft.node: {own:x} elected leader {leader:x} at term {term}"),
        Some(before) => tracing::info!(
            "raft.node: {own:x} changed leader from {:x} to {leader:x} at term {term}",
            before.0
        ),
    }
}

/// Drops old history as configured; only the leader does it.
pub(crate) async fn compact_by_itself(member: Arc<Member>) {
    let (period, mut plan) = match member.config().auto_compaction {
        AutoCompaction::Off => return,
        AutoCompaction::Revisions(keep) => (REVISION_LOOK, Plan::Revisions(keep)),
        AutoCompaction::Periodic(age) => {
            let samples = Samples::new(age, member.clock().now());
            (age.min(HOUR) / SAMPLES_PER_PERIOD, Plan::Periodic(samples))
        }
    };
    let mode = plan.mode();
    let mut ticks = every(period.max(LOOK_MIN));
    let mut stopped = member.stopped();
    let mut last = Revision(0);
    while tick(&mut ticks, &mut stopped).await {
        let (now, current) = (member.clock().now(), member.reader().revision());
        let Some(revision) = plan.due(now, current) else { continue };
        if revision == last || !member.leadership().is_leader {
            continue;
        }
        tracing::info!(%revision, "starting auto {mode} compaction");
        let request = CompactionRequest { revision: revision.0, physical: false };
        match member.propose(&Caller::member(), command::Request::Compaction(request)).await {
            Ok(_) => tracing::info!(%revision, "completed auto {mode} compaction"),
            // Somebody was faster.
            Err(ServeError::Etcd(EtcdError::Compacted)) => {}
            Err(error) => {
                tracing::warn!(%revision, %error, "failed auto {mode} compaction");
                continue;
            }
        }
        last = revision;
        plan.done(now);
    }
}

/// However short the period, not more often than this.
const LOOK_MIN: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(3600);
/// Compat: etcd looks every five minutes in the mode `revision`.
const REVISION_LOOK: Duration = Duration::from_secs(300);
/// Compat: etcd takes ten samples per period.
const SAMPLES_PER_PERIOD: u32 = 10;

enum Plan {
    Revisions(i64),
    Periodic(Samples),
}

impl Plan {
    fn mode(&self) -> &'static str {
        match self {
            Plan::Revisions(_) => "revision",
            Plan::Periodic(_) => "periodic",
        }
    }

    fn due(&mut self, now: Moment, current: Revision) -> Option<Revision> {
        let revision = match self {
            Plan::Revisions(keep) => Revision(current.0.saturating_sub(*keep)),
            Plan::Periodic(samples) => samples.due(now, current)?,
        };
        Some(revision).filter(|revision| revision.0 > 0)
    }

    /// What was due is done.
    fn done(&mut self, now: Moment) {
        if let Plan::Periodic(samples) = self {
            samples.done(now);
        }
    }
}

/// Which revision was current one period ago.
///
/// *Source*: etcd's periodic compactor: nothing in the first period; then once per period, or once
/// per hour when that is shorter.
struct Samples {
    age: Duration,
    seen: VecDeque<Revision>,
    last_done: Moment,
    wait: Duration,
}

impl Samples {
    fn new(age: Duration, now: Moment) -> Self {
        Samples { age, seen: VecDeque::new(), last_done: now, wait: age }
    }

    /// Called once per tick, of which `SAMPLES_PER_PERIOD` make a period (or an hour).
    fn due(&mut self, now: Moment, current: Revision) -> Option<Revision> {
        let oldest = self.seen.front().copied();
        self.seen.push_back(current);
        let interval = self.age.min(HOUR) / SAMPLES_PER_PERIOD;
        let kept = self.age.as_nanos().checked_div(interval.as_nanos()).unwrap_or(0);
        while self.seen.len() as u128 > kept + 1 {
            self.seen.pop_front();
        }
        oldest.filter(|_| self.last_done.until(now) >= self.wait)
    }

    fn done(&mut self, now: Moment) {
        self.last_done = now;
        self.wait = self.age.min(HOUR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Moment {
        Moment(Duration::from_secs(s))
    }

    /// Ticks ten times per period, a revision higher each time; when what was due.
    fn run(age_s: u64, ticks: u64) -> Vec<(u64, i64)> {
        let mut samples = Samples::new(Duration::from_secs(age_s), at(0));
        let step = age_s.min(3600) / 10;
        let mut due = Vec::new();
        for tick in 0..ticks {
            let now = at(tick * step);
            let current = Revision(100 + i64::try_from(tick).expect("small"));
            if let Some(revision) = samples.due(now, current) {
                samples.done(now);
                due.push((tick, revision.0 - 100));
            }
        }
        due
    }

    #[test]
    fn history_goes_once_per_period_when_it_is_a_period_old() {
        // The revision of tick 0 is a period old at tick 10, and so on.
        assert_eq!(run(60, 35), [(10, 0), (20, 9), (30, 19)]);
    }

    #[test]
    fn long_periods_are_compacted_each_hour() {
        // Two hours: the first time after both, then each hour, always two hours behind.
        assert_eq!(run(7200, 45), [(20, 0), (30, 9), (40, 19)]);
    }

    #[test]
    fn a_number_of_revisions_is_kept() {
        let mut plan = Plan::Revisions(100);
        assert_eq!(plan.due(at(0), Revision(100)), None);
        assert_eq!(plan.due(at(0), Revision(150)), Some(Revision(50)));
    }
}
