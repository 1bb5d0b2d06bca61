//! What `top` shows, computed from two looks.
//!
//! Must not know: terminals.

use super::super::endpoint::role;
use super::super::observe::{Metrics, Sample, voters};
use super::super::show::figures::bytes;
use super::super::show::{Doc, Object, Table};

/// One member's figures.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) role: &'static str,
    /// Why there are no figures.
    pub(super) error: Option<String>,
    pub(super) latency_ms: Option<f64>,
    pub(super) term: u64,
    pub(super) index: u64,
    /// Entries that the newest member has and this one has not applied.
    pub(super) lag: u64,
    pub(super) puts_per_s: Option<f64>,
    pub(super) reads_per_s: Option<f64>,
    pub(super) txns_per_s: Option<f64>,
    pub(super) sync_p99_ms: Option<f64>,
    pub(super) db_bytes: u64,
    pub(super) db_in_use_bytes: u64,
    pub(super) quota_bytes: u64,
}

/// The whole cluster.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) rows: Vec<Row>,
    pub(super) notes: Vec<String>,
    cluster: u64,
    revision: i64,
    voters: (usize, usize, usize),
}

impl Picture {
    /// From what is seen now and, for rates, what was seen before.
    pub(super) fn of(before: Option<&[Sample]>, now: &[Sample], mut notes: Vec<String>) -> Self {
        let statuses = || now.iter().filter_map(|sample| sample.status.as_ref().ok());
        let newest = statuses().map(|status| status.raft_index).max().unwrap_or(0);
        let headers = || statuses().filter_map(|status| status.header.as_ref());
        notes.extend(statuses().flat_map(|status| status.errors.clone()));
        notes.sort();
        notes.dedup();
        Self {
            rows: now.iter().map(|sample| row(before, sample, newest)).collect(),
            notes,
            cluster: headers().map(|header| header.cluster_id).next().unwrap_or(0),
            revision: headers().map(|header| header.revision).max().unwrap_or(0),
            voters: voters(now),
        }
    }

    /// The state of the quorum in a line.
    pub(super) fn headline(&self) -> String {
        let (all, well, quorum) = self.voters;
        let margin = match well.checked_sub(quorum) {
            None => "NO QUORUM".to_owned(),
            Some(margin) => format!("can lose {margin}"),
        };
        let notes =
            if self.notes.is_empty() { "no alarms".to_owned() } else { self.notes.join("; ") };
        format!(
            "cluster {:x}  revision {}  {well} of {all} voters answer, quorum {quorum}, {margin}  \
             {notes}",
            self.cluster, self.revision
        )
    }

    /// Why members are down, one line each.
    pub(super) fn reasons(&self) -> Vec<String> {
        let reason = |row: &Row| Some(format!("{}: {}", row.name, row.error.as_ref()?));
        self.rows.iter().filter_map(reason).collect()
    }

    /// The rows in words.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&HEADERS);
        self.rows.iter().for_each(|row| table.row(row.cells()));
        table
    }

    /// Figures with their units in the names.
    pub(super) fn document(&self) -> Doc {
        let (all, well, quorum) = self.voters;
        Object::new()
            .with("cluster_id", format!("{:x}", self.cluster))
            .with("revision", self.revision)
            .with("voters", all)
            .with("voters_answering", well)
            .with("quorum", quorum)
            .with("notes", self.notes.as_slice())
            .with("members", Doc::list(&self.rows, Row::document))
            .into()
    }
}

/// The columns.
pub(super) const HEADERS: [&str; 13] = [
    "MEMBER", "ID", "ROLE", "LATENCY", "TERM", "INDEX", "LAG", "PUT/S", "READ/S", "TXN/S",
    "SYNC P99", "DB SIZE", "QUOTA",
];

impl Row {
    /// One text for each header.
    pub(super) fn cells(&self) -> Vec<String> {
        if self.error.is_some() {
            return vec![self.name.clone(), self.id.clone(), "DOWN".to_owned()];
        }
        let figure = |value: Option<f64>, unit: &str| match value {
            Some(value) if value >= 100.0 => format!("{value:.0}{unit}"),
            Some(value) => format!("{value:.1}{unit}"),
            None => "-".to_owned(),
        };
        let quota = match (self.db_bytes * 100).checked_div(self.quota_bytes) {
            Some(percent) => format!("{percent} % of {}", bytes(self.quota_bytes)),
            None => "-".to_owned(),
        };
        vec![
            self.name.clone(),
            self.id.clone(),
            self.role.to_owned(),
            figure(self.latency_ms, " ms"),
            self.term.to_string(),
            self.index.to_string(),
            self.lag.to_string(),
            figure(self.puts_per_s, ""),
            figure(self.reads_per_s, ""),
            figure(self.txns_per_s, ""),
            figure(self.sync_p99_ms, " ms"),
            bytes(self.db_bytes),
            quota,
        ]
    }

    fn document(&self) -> Doc {
        let object = Object::new().with("name", &self.name).with("id", &self.id);
        if let Some(error) = &self.error {
            return object.with("role", "down").with("error", error).into();
        }
        object
            .with("role", self.role)
            .with("latency_ms", self.latency_ms)
            .with("raft_term", self.term)
            .with("raft_index", self.index)
            .with("lag_entries", self.lag)
            .with("puts_per_s", self.puts_per_s)
            .with("reads_per_s", self.reads_per_s)
            .with("txns_per_s", self.txns_per_s)
            .with("disk_sync_p99_ms", self.sync_p99_ms)
            .with("db_size_bytes", self.db_bytes)
            .with("db_in_use_bytes", self.db_in_use_bytes)
            .with("quota_bytes", self.quota_bytes)
            .into()
    }
}

fn row(before: Option<&[Sample]>, now: &Sample, newest: u64) -> Row {
    let status = now.status.as_ref().cloned().unwrap_or_default();
    let member = now.target.member.as_ref().map(|member| member.id);
    let id = member.or(status.header.as_ref().map(|header| header.member_id)).unwrap_or(0);
    let rate = |name: &str| rate(before, now, name);
    let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
    Row {
        name: now.name(),
        id: format!("{id:x}"),
        role: role(&status),
        error: now.status.as_ref().err().cloned(),
        latency_ms: now.status.is_ok().then_some(now.took.as_secs_f64() * 1000.0),
        term: status.raft_term,
        index: status.raft_index,
        lag: newest.saturating_sub(status.raft_applied_index),
        puts_per_s: rate("etcd_mvcc_put_total"),
        reads_per_s: rate("etcd_mvcc_range_total"),
        txns_per_s: rate("etcd_mvcc_txn_total"),
        sync_p99_ms: now.metrics.as_ref().and_then(sync_p99_ms),
        db_bytes: size(status.db_size),
        db_in_use_bytes: size(status.db_size_in_use),
        quota_bytes: size(status.db_size_quota),
    }
}

/// Since the member's start.
fn sync_p99_ms(metrics: &Metrics) -> Option<f64> {
    let seconds = metrics.quantile("etcd_disk_wal_fsync_duration_seconds", 0.99)?;
    seconds.is_finite().then_some(seconds * 1000.0)
}

fn rate(before: Option<&[Sample]>, now: &Sample, name: &str) -> Option<f64> {
    let endpoint = &now.target.endpoint;
    let before = before?.iter().find(|sample| sample.target.endpoint == *endpoint)?;
    let (then, later) = (before.metrics.as_ref()?.sum(name)?, now.metrics.as_ref()?.sum(name)?);
    let passed_s = now.at.duration_since(before.at).as_secs_f64();
    // A counter that fell is one of a process that started anew.
    (passed_s > 0.0 && later >= then).then(|| (later - then) / passed_s)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proto::etcdserverpb::{ResponseHeader, StatusResponse};

    use super::super::super::observe::{Metrics, Sample, Target};
    use super::Picture;

    fn sample(at: Instant, puts: u64, applied: u64) -> Sample {
        let header = ResponseHeader { cluster_id: 1, member_id: 7, revision: 9, raft_term: 2 };
        let status = StatusResponse {
            header: Some(header),
            leader: 7,
            raft_index: 100,
            raft_applied_index: applied,
            db_size: 50,
            db_size_quota: 100,
            ..Default::default()
        };
        Sample {
            target: Target { member: None, endpoint: Some("a:1".into()) },
            at,
            took: Duration::from_millis(2),
            status: Ok(status),
            metrics: Some(Metrics::parse(&format!("etcd_mvcc_put_total {puts}\n"))),
            clock_ahead_s: None,
        }
    }

    #[test]
    fn a_rate_is_what_changed_between_two_looks() {
        let began = Instant::now();
        let before = [sample(began, 10, 100)];
        let now = [sample(began + Duration::from_secs(2), 30, 97)];
        let picture = Picture::of(Some(&before), &now, Vec::new());
        assert_eq!(picture.rows[0].puts_per_s, Some(10.0));
        assert_eq!(picture.rows[0].lag, 3);
        assert_eq!(picture.rows[0].role, "leader");
        assert!(picture.headline().contains("1 of 1 voters answer, quorum 1, can lose 0"));
        let restarted = [sample(began + Duration::from_secs(4), 1, 100)];
        assert_eq!(Picture::of(Some(&now), &restarted, Vec::new()).rows[0].puts_per_s, None);
    }

    #[test]
    fn a_member_that_is_down_has_a_row_with_the_reason() {
        let down =
            Sample { status: Err("refused".into()), metrics: None, ..sample(Instant::now(), 0, 0) };
        let picture = Picture::of(None, &[down], vec!["ALARM NOSPACE of 7".into()]);
        assert!(picture.table().text("").contains("DOWN"));
        assert_eq!(picture.reasons(), ["a:1: refused"]);
        assert!(picture.headline().contains("NO QUORUM") && picture.headline().contains("NOSPACE"));
    }
}
