//! The checks that need nothing but a look at each member.
//!
//! Invariant: each is a function of samples, so that each verdict has a test.

use proto::etcdserverpb::StatusResponse;

use super::super::observe::{Sample, voters};
use super::super::show::figures::bytes;
use super::finding::Finding;

/// All of them.
pub(super) fn all(samples: &[Sample]) -> Vec<Finding> {
    vec![
        members(samples),
        quorum(samples),
        leader(samples),
        learners(samples),
        lag(samples),
        disk(samples),
        clocks(samples),
        quota(samples),
        fragments(samples),
        versions(samples),
    ]
}

fn statuses(samples: &[Sample]) -> impl Iterator<Item = (&Sample, &StatusResponse)> {
    samples.iter().filter_map(|sample| Some((sample, sample.status.as_ref().ok()?)))
}

fn members(samples: &[Sample]) -> Finding {
    let down: Vec<_> = samples
        .iter()
        .filter_map(|sample| {
            let error = sample.status.as_ref().err()?;
            Some(format!("{} does not answer ({error})", sample.name()))
        })
        .collect();
    if down.is_empty() {
        return Finding::well("members", format!("all {} answer", samples.len()));
    }
    let finding = Finding::warning("members", down.join("; "));
    finding.next("start them again, or `engram ctl member replace ID --name NEW --peer-urls URL`")
}

fn quorum(samples: &[Sample]) -> Finding {
    let (all, well, quorum) = voters(samples);
    let figures = format!("{well} of {all} voting members are well, {quorum} are needed");
    match well.checked_sub(quorum) {
        None => Finding::bad("quorum", format!("{figures}: no writes are possible"))
            .next("start the members that are down; if they are lost, restore from a snapshot"),
        Some(0) if all > 1 => Finding::warning("quorum", format!("{figures}: none may be lost"))
            .next("bring a member back or add one: `engram ctl member add NAME --learner`"),
        Some(0) => Finding::well("quorum", format!("{figures}: a single member, on its own")),
        Some(margin) if all % 2 == 0 => Finding::warning(
            "quorum",
            format!("{figures}: {margin} may be lost, as with one member less"),
        )
        .next("an odd number of voting members is as safe and cheaper"),
        Some(margin) => Finding::well("quorum", format!("{figures}: {margin} may be lost")),
    }
}

fn leader(samples: &[Sample]) -> Finding {
    let mut leaders: Vec<_> =
        statuses(samples).map(|(_, status)| (status.leader, status.raft_term)).collect();
    leaders.sort_unstable();
    leaders.dedup();
    match leaders.as_slice() {
        [] => {
            Finding::bad("leader", "nobody answers".to_owned()).next("engram ctl endpoint health")
        }
        [(0, term)] => Finding::bad("leader", format!("none in term {term}"))
            .next("look at the network between the members' peer URLs"),
        [(leader, term)] => Finding::well("leader", format!("{leader:x}, term {term}")),
        many => {
            let many: Vec<_> =
                many.iter().map(|(leader, term)| format!("{leader:x} in term {term}")).collect();
            Finding::warning("leader", format!("members name different ones: {}", many.join(", ")))
                .next("run this again: an election may be going on")
        }
    }
}

fn learners(samples: &[Sample]) -> Finding {
    let learners: Vec<_> =
        samples.iter().filter(|sample| !sample.votes()).map(Sample::name).collect();
    if learners.is_empty() {
        return Finding::well("learners", "none".to_owned());
    }
    let text = format!("{} does not vote yet", learners.join(", "));
    Finding::warning("learners", text).next("engram ctl member promote ID, when it is in sync")
}

/// Entries behind the newest; etcd refuses writes at a gap of 5000.
const LAG_WARNING: u64 = 1000;
const LAG_BAD: u64 = 5000;

fn lag(samples: &[Sample]) -> Finding {
    let newest = statuses(samples).map(|(_, status)| status.raft_index).max().unwrap_or(0);
    let mut most = 0;
    let parts = statuses(samples).map(|(sample, status)| {
        let lag = newest.saturating_sub(status.raft_applied_index);
        most = most.max(lag);
        let text = format!("{} is {lag} entries behind", sample.name());
        let next = "look at its disk and network; `engram ctl top` shows whether it catches up";
        match lag {
            LAG_BAD.. => Finding::bad("lag", text).next(next),
            LAG_WARNING.. => Finding::warning("lag", text).next(next),
            _ => Finding::well("lag", text),
        }
    });
    let parts = parts.collect();
    Finding::worst("lag", parts, format!("at most {most} entries"))
}

/// etcd's advice for the log's sync: 99 of 100 within 10 ms.
const SYNC_WARNING_S: f64 = 0.010;
const SYNC_BAD_S: f64 = 0.100;

fn disk(samples: &[Sample]) -> Finding {
    let (mut most, mut seen) = (0.0f64, 0);
    let parts = statuses(samples).map(|(sample, _)| {
        let metrics = sample.metrics.as_ref();
        let sync = metrics
            .and_then(|metrics| metrics.quantile("etcd_disk_wal_fsync_duration_seconds", 0.99));
        let Some(sync) = sync else {
            let text = format!("{} tells no sync times at /metrics", sample.name());
            return Finding::warning("disk", text)
                .next("let this machine reach /metrics at the client URLs");
        };
        (most, seen) = (most.max(sync), seen + 1);
        let text = format!("{}: 99 of 100 syncs end within {:.0} ms", sample.name(), sync * 1000.0);
        let next = "a faster or less shared disk for the log: --wal-dir on one of its own";
        if sync > SYNC_BAD_S {
            Finding::bad("disk", text).next(next)
        } else if sync > SYNC_WARNING_S {
            Finding::warning("disk", text).next(next)
        } else {
            Finding::well("disk", text)
        }
    });
    let parts = parts.collect();
    let well = format!("99 of 100 syncs end within {:.0} ms on {seen} members", most * 1000.0);
    Finding::worst("disk", parts, well)
}

/// The clock that is seen has whole seconds.
const CLOCK_WARNING_S: f64 = 2.0;
const CLOCK_BAD_S: f64 = 60.0;

fn clocks(samples: &[Sample]) -> Finding {
    let known = samples.iter().filter_map(|sample| Some((sample, sample.clock_ahead_s?)));
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return Finding::warning("clocks", "no member tells its time at /metrics".to_owned());
    }
    let parts = known.iter().map(|(sample, ahead)| {
        let side = if *ahead < 0.0 { "behind" } else { "ahead of" };
        let text = format!("{} is {:.1} s {side} this machine", sample.name(), ahead.abs());
        let next = "let all machines keep time with NTP; certificates and tokens depend on it";
        match ahead.abs() {
            off if off > CLOCK_BAD_S => Finding::bad("clocks", text).next(next),
            off if off > CLOCK_WARNING_S => Finding::warning("clocks", text).next(next),
            _ => Finding::well("clocks", text),
        }
    });
    let parts = parts.collect();
    Finding::worst("clocks", parts, format!("{} agree within {CLOCK_WARNING_S} s", known.len()))
}

/// Percent of the quota.
const QUOTA_WARNING: i64 = 80;
const QUOTA_BAD: i64 = 95;

/// A forecast below this is a warning, once a tenth is used.
const FORECAST_WARNING_DAYS: f64 = 7.0;

fn quota(samples: &[Sample]) -> Finding {
    let mut most = 0;
    let parts =
        statuses(samples).filter(|(_, status)| status.db_size_quota > 0).map(|(sample, status)| {
            let percent = status.db_size.saturating_mul(100) / status.db_size_quota;
            most = most.max(percent);
            let forecast = days_left(sample, status);
            let when = match forecast {
                Some(days) => format!(", full in {days:.1} days at its average pace since start"),
                None => String::new(),
            };
            let quota = bytes(u64::try_from(status.db_size_quota).unwrap_or(0));
            let text = format!("{} uses {percent} % of {quota}{when}", sample.name());
            let next = "engram ctl compaction REVISION, engram ctl defrag --cluster; or a larger \
                        --quota-backend-bytes";
            let soon = forecast.is_some_and(|days| days < FORECAST_WARNING_DAYS) && percent >= 10;
            match percent {
                QUOTA_BAD.. => Finding::bad("quota", text).next(next),
                QUOTA_WARNING.. => Finding::warning("quota", text).next(next),
                _ if soon => Finding::warning("quota", text).next(next),
                _ => Finding::well("quota", text),
            }
        });
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() {
        return Finding::warning("quota", "no member tells its quota".to_owned());
    }
    Finding::worst("quota", parts, format!("at most {most} % is used"))
}

/// Days until the quota, as if the database had grown evenly since the member's start; none before
/// an hour, when that says nothing.
fn days_left(sample: &Sample, status: &StatusResponse) -> Option<f64> {
    let started_s = sample.metrics.as_ref()?.sum("process_start_time_seconds")?;
    let up_s = jiff::Timestamp::now().as_second() as f64 - started_s;
    if up_s < 3600.0 || status.db_size <= 0 {
        return None;
    }
    let left = (status.db_size_quota - status.db_size).max(0) as f64;
    Some(left / (status.db_size as f64 / up_s) / 86_400.0)
}

/// Below this a rewrite is not worth it.
const FRAGMENTS_BYTES_MIN: i64 = 100 << 20;

fn fragments(samples: &[Sample]) -> Finding {
    let parts = statuses(samples).map(|(sample, status)| {
        let unused = status.db_size - status.db_size_in_use;
        let text = format!(
            "{} uses {} of {}",
            sample.name(),
            bytes(u64::try_from(status.db_size_in_use).unwrap_or(0)),
            bytes(u64::try_from(status.db_size).unwrap_or(0))
        );
        if status.db_size > FRAGMENTS_BYTES_MIN && unused > status.db_size / 2 {
            let next = format!(
                "engram ctl defrag --endpoints {}",
                sample.target.endpoint.as_deref().unwrap_or_default()
            );
            Finding::warning("fragments", text).next(next)
        } else {
            Finding::well("fragments", text)
        }
    });
    Finding::worst("fragments", parts.collect(), "no database is mostly empty".to_owned())
}

fn versions(samples: &[Sample]) -> Finding {
    let mut all: Vec<_> = statuses(samples).map(|(_, status)| status.version.clone()).collect();
    all.sort();
    all.dedup();
    let minor = |version: &String| {
        let mut parts = version.split('.').map(|part| part.parse::<u64>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    };
    let mut minors: Vec<_> = all.iter().map(minor).collect();
    minors.dedup();
    let text = all.join(", ");
    let next = "bring all members to the same version, one after the other";
    match minors.as_slice() {
        [] => Finding::warning("versions", "nobody tells its version".to_owned()),
        [_] if all.len() == 1 => Finding::well("versions", text),
        [(a, b), (c, d)] if a != c || d.abs_diff(*b) > 1 => {
            Finding::bad("versions", format!("{text}: more than one minor version apart"))
                .next(next)
        }
        [_] | [_, _] => Finding::warning("versions", text).next(next),
        _ => Finding::bad("versions", text).next(next),
    }
}

/// Compares hashes of one revision: name, compacted revision, hash.
pub(super) fn hashes(revision: i64, found: &[(String, i64, u32)]) -> Finding {
    let Some((_, compacted, hash)) = found.first() else {
        return Finding::warning("hashes", "nobody tells its hash".to_owned());
    };
    if found.iter().any(|(_, other, _)| other != compacted) {
        // The hash covers only what compaction left; a running one makes it no evidence.
        let text = format!("not comparable at revision {revision}: compaction is going on");
        return Finding::warning("hashes", text).next("run this again");
    }
    if found.iter().all(|(_, _, other)| other == hash) {
        let text = format!("{} members agree at revision {revision}", found.len());
        return Finding::well("hashes", text);
    }
    let each: Vec<_> = found.iter().map(|(name, _, hash)| format!("{name} {hash}")).collect();
    Finding::bad("hashes", format!("members differ at revision {revision}: {}", each.join(", ")))
        .next("engram ctl snapshot save FILE from each, then `member replace` the one that differs")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proto::etcdserverpb::{Member, StatusResponse};

    use super::super::super::observe::{Metrics, Sample, Target};
    use super::super::finding::Verdict;
    use super::{clocks, disk, hashes, lag, leader, learners, members, quorum, quota, versions};

    fn member(id: u64) -> Sample {
        let status = StatusResponse {
            leader: 1,
            raft_index: 10_000,
            raft_applied_index: 10_000,
            version: "3.7.3".into(),
            db_size: 10,
            db_size_quota: 100,
            ..Default::default()
        };
        let sync = "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.002\"} 100\n\
                    etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.5\"} 100\n";
        let member = Member { id, name: format!("m{id}"), ..Default::default() };
        Sample {
            target: Target { member: Some(member), endpoint: Some(format!("m{id}:1")) },
            at: Instant::now(),
            took: Duration::ZERO,
            status: Ok(status),
            metrics: Some(Metrics::parse(sync)),
            clock_ahead_s: Some(0.3),
        }
    }

    fn down(id: u64) -> Sample {
        Sample { status: Err("refused".into()), metrics: None, clock_ahead_s: None, ..member(id) }
    }

    fn with(id: u64, change: impl Fn(&mut StatusResponse)) -> Sample {
        let mut sample = member(id);
        if let Ok(status) = &mut sample.status {
            change(status);
        }
        sample
    }

    #[test]
    fn three_members_in_order_are_well() {
        let samples = [member(1), member(2), member(3)];
        for finding in super::all(&samples) {
            assert_eq!(finding.verdict, Verdict::Well, "{finding:?}");
        }
    }

    #[test]
    fn the_margin_of_the_quorum_is_judged() {
        let verdict = |samples: &[Sample]| quorum(samples).verdict;
        assert_eq!(verdict(&[member(1), member(2), down(3)]), Verdict::Warning);
        assert_eq!(verdict(&[member(1), down(2), down(3)]), Verdict::Bad);
        assert_eq!(verdict(&[member(1), member(2)]), Verdict::Warning);
        assert_eq!(verdict(&[member(1)]), Verdict::Well);
        let finding = members(&[member(1), down(3)]);
        assert!(finding.evidence.contains("m3 does not answer (refused)"), "{finding:?}");
    }

    #[test]
    fn a_missing_leader_is_bad_and_two_are_odd() {
        let lost = with(1, |status| status.leader = 0);
        assert_eq!(leader(&[lost]).verdict, Verdict::Bad);
        let other = with(2, |status| status.leader = 2);
        assert_eq!(leader(&[member(1), other]).verdict, Verdict::Warning);
    }

    #[test]
    fn what_is_behind_slow_full_or_off_is_named() {
        let late = with(2, |status| status.raft_applied_index = 3_000);
        assert_eq!(lag(&[member(1), late]).verdict, Verdict::Bad);
        let full = with(2, |status| status.db_size = 85);
        let finding = quota(&[member(1), full]);
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.evidence.contains("m2 uses 85 %"), "{finding:?}");
        let slow = Metrics::parse("etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.064\"} 9\n");
        assert_eq!(disk(&[Sample { metrics: Some(slow), ..member(1) }]).verdict, Verdict::Warning);
        assert_eq!(disk(&[Sample { metrics: None, ..member(1) }]).verdict, Verdict::Warning);
        let off = Sample { clock_ahead_s: Some(-90.0), ..member(1) };
        assert_eq!(clocks(&[off]).verdict, Verdict::Bad);
        let mut learner = member(3);
        learner.target.member = Some(Member { is_learner: true, ..Default::default() });
        assert_eq!(learners(&[learner]).verdict, Verdict::Warning);
    }

    #[test]
    fn versions_may_be_one_minor_apart_for_a_while() {
        let old = |text: &'static str| with(2, move |status| status.version = text.into());
        assert_eq!(versions(&[member(1), old("3.6.14")]).verdict, Verdict::Warning);
        assert_eq!(versions(&[member(1), old("3.5.1")]).verdict, Verdict::Bad);
        assert_eq!(versions(&[member(1), old("3.7.2")]).verdict, Verdict::Warning);
    }

    #[test]
    fn hashes_are_compared_only_at_one_compaction() {
        let row = |name: &str, compacted, hash| (name.to_owned(), compacted, hash);
        let verdict = |rows: &[_]| hashes(5, rows).verdict;
        assert_eq!(verdict(&[row("a", 1, 7), row("b", 1, 7)]), Verdict::Well);
        assert_eq!(verdict(&[row("a", 1, 7), row("b", 1, 8)]), Verdict::Bad);
        assert_eq!(verdict(&[row("a", 1, 7), row("b", 2, 8)]), Verdict::Warning);
    }
}
