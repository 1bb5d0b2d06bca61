//! What is checked behind `/health`, `/livez` and `/readyz`, and how it is told.

use axum::http::StatusCode;
use proto::etcdserverpb::{AlarmType, RangeRequest};

use crate::auth::Caller;
use crate::member::Member;

/// One check of `/livez` or `/readyz`. The order is that of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    DataCorruption,
    SerializableRead,
    LinearizableRead,
    NonLearner,
}

impl Check {
    pub(crate) const LIVE: &[Check] = &[Check::SerializableRead];
    pub(crate) const READY: &[Check] = &[
        Check::DataCorruption,
        Check::SerializableRead,
        Check::LinearizableRead,
        Check::NonLearner,
    ];

    /// The name in paths and answers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Check::DataCorruption => "data_corruption",
            Check::SerializableRead => "serializable_read",
            Check::LinearizableRead => "linearizable_read",
            Check::NonLearner => "non_learner",
        }
    }

    async fn run(self, member: &Member) -> Result<(), String> {
        match self {
            Check::DataCorruption => {
                let corrupt = AlarmType::Corrupt as i32;
                match member.reader().alarms().iter().any(|alarm| alarm.alarm == corrupt) {
                    true => Err("alarm activated: CORRUPT".to_owned()),
                    false => Ok(()),
                }
            }
            Check::SerializableRead => read(member, true).await,
            Check::LinearizableRead => read(member, false).await,
            Check::NonLearner => match member.is_learner() {
                true => Err("not supported for learner".to_owned()),
                false => Ok(()),
            },
        }
    }
}

/// Compat: the range that etcd asks itself; an empty key reads nothing and finds the first key.
async fn read(member: &Member, serializable: bool) -> Result<(), String> {
    let range = RangeRequest {
        key: vec![0].into(),
        keys_only: true,
        limit: 1,
        serializable,
        ..Default::default()
    };
    member.range(&Caller::member(), range).await.map(drop).map_err(|error| error.to_string())
}

/// The outcome of a group of checks.
pub(crate) struct Report {
    pub(crate) healthy: bool,
    /// One line per check.
    pub(crate) lines: String,
}

/// Runs checks and counts them under `group` (`livez` or `readyz`).
pub(crate) async fn run_checks(member: &Member, group: &'static str, checks: &[Check]) -> Report {
    let mut report = Report { healthy: true, lines: String::new() };
    for check in checks {
        let result = check.run(member).await;
        member.metrics().checked(group, *check, result.is_ok());
        let name = check.name();
        let line = match &result {
            Ok(()) => format!("[+]{name} ok\n"),
            Err(error) => format!("[-]{name} failed: {error}\n"),
        };
        report.lines.push_str(&line);
        report.healthy &= result.is_ok();
    }
    report
}

/// The answer of `/health`.
pub(crate) async fn health(
    member: &Member,
    excluded: &[String],
    serializable: bool,
) -> (StatusCode, String) {
    let reason = unhealthy(member, excluded, serializable).await;
    member.metrics().health_told(reason.is_none());
    match reason {
        None => (StatusCode::OK, "{\"health\":\"true\",\"reason\":\"\"}".to_owned()),
        Some(reason) => {
            // Texts of our own: they hold nothing that JSON would have to escape.
            let body = format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n");
            (StatusCode::SERVICE_UNAVAILABLE, body)
        }
    }
}

async fn unhealthy(member: &Member, excluded: &[String], serializable: bool) -> Option<String> {
    for alarm in member.reader().alarms() {
        let name = AlarmType::try_from(alarm.alarm).map_or("UNKNOWN", |kind| kind.as_str_name());
        if !excluded.iter().any(|excluded| excluded == name) {
            return Some(format!("ALARM {name}"));
        }
    }
    if !serializable && member.leadership().leader.is_none() {
        return Some("RAFT NO LEADER".to_owned());
    }
    read(member, serializable).await.err().map(|error| format!("RANGE ERROR:{error}"))
}
