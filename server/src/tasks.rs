//! The small tasks of a member: watching for leaders and compacting by itself.
//! Each runs until the member stops.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::etcdserverpb::{AlarmType, CompactionRequest};
use proto::log::command;
use raft::Corruption;
use store::Revision;
use tokio::sync::watch as channel;
use tokio::time::MissedTickBehavior;

use crate::auth::Caller;
use crate::clock::Moment;
use crate::config::AutoCompaction;
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
            last = leader;
            member.metrics().leader_changes.fetch_add(1, Ordering::Relaxed);
        }
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Drops old history as configured; only the leader does it.
pub(crate) async fn compact_by_itself(member: Arc<Member>) {
    let (period, mut plan) = match member.config().auto_compaction {
        AutoCompaction::Off => return,
        AutoCompaction::Revisions(keep) => (REVISION_LOOK, Plan::Revisions(keep)),
        AutoCompaction::Periodic(age) => {
            (age.min(HOUR) / SAMPLES_PER_PERIOD, Plan::Periodic(Samples::new(age)))
        }
    };
    let mut ticks = every(period.max(Duration::from_secs(1)));
    let mut stopped = member.stopped();
    while tick(&mut ticks, &mut stopped).await {
        let (now, current) = (member.clock().now(), member.reader().revision());
        let Some(revision) = plan.due(now, current) else { continue };
        let new = revision > member.reader().compacted_revision();
        if new && member.leadership().is_leader {
            let request = CompactionRequest { revision: revision.0, physical: false };
            match member.propose(&Caller::member(), command::Request::Compaction(request)).await {
                Ok(_) => tracing::info!(%revision, "compacted by itself"),
                Err(error) => tracing::warn!(%revision, %error, "compaction by itself failed"),
            }
        }
    }
}

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
    fn due(&mut self, now: Moment, current: Revision) -> Option<Revision> {
        let revision = match self {
            Plan::Revisions(keep) => Revision(current.0.saturating_sub(*keep)),
            Plan::Periodic(samples) => samples.due(now, current)?,
        };
        Some(revision).filter(|revision| revision.0 > 0)
    }
}

/// Which revision was current when: the newest one that is old enough may go.
struct Samples {
    age: Duration,
    seen: VecDeque<(Moment, Revision)>,
}

impl Samples {
    fn new(age: Duration) -> Self {
        Samples { age, seen: VecDeque::new() }
    }

    fn due(&mut self, now: Moment, current: Revision) -> Option<Revision> {
        self.seen.push_back((now, current));
        let mut due = None;
        while let Some((at, revision)) = self.seen.front().copied() {
            if at.until(now) < self.age {
                break;
            }
            self.seen.pop_front();
            due = Some(revision);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Moment {
        Moment(Duration::from_secs(s))
    }

    #[test]
    fn history_goes_when_it_is_old_enough() {
        let mut plan = Plan::Periodic(Samples::new(Duration::from_secs(60)));
        assert_eq!(plan.due(at(0), Revision(5)), None);
        assert_eq!(plan.due(at(59), Revision(9)), None);
        assert_eq!(plan.due(at(60), Revision(11)), Some(Revision(5)));
        assert_eq!(plan.due(at(130), Revision(20)), Some(Revision(11)));
    }

    #[test]
    fn a_number_of_revisions_is_kept() {
        let mut plan = Plan::Revisions(100);
        assert_eq!(plan.due(at(0), Revision(100)), None);
        assert_eq!(plan.due(at(0), Revision(150)), Some(Revision(50)));
    }
}
