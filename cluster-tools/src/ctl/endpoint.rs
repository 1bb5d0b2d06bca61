//! `endpoint status | health | hashkv`: every endpoint is asked, also beside silent ones.
//!
//! Must not know: which endpoints belong together.

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use futures::future::join_all;
use proto::etcdserverpb as pb;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::Code;

use super::global::Global;
use super::show::fields::Fields;
use super::show::figures::{bytes, go_duration};
use super::show::table::or_dash;
use super::show::{Answer, Doc, Object, Table, answers, notice};
use crate::ToolError;

/// Options of `endpoint`.
#[derive(Debug, Args)]
pub(crate) struct Endpoint {
    /// Ask all members of the cluster, not only the endpoints given.
    #[arg(long, global = true)]
    cluster: bool,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Member, version, size, leader, term and index of each endpoint.
    Status,
    /// Whether each endpoint commits a read and has no alarm.
    Health,
    /// The hash of each endpoint's history of keys.
    Hashkv {
        /// The newest revision to hash; 0 is the latest.
        #[arg(long, default_value_t = 0)]
        rev: i64,
    },
}

pub(crate) async fn run(global: &Global, endpoint: Endpoint) -> Result<(), ToolError> {
    let targets = global.targets(endpoint.cluster).await?;
    match endpoint.verb {
        Verb::Status => status(global, &targets).await,
        Verb::Health => health(global, &targets).await,
        Verb::Hashkv { rev } => hash_kv(global, &targets, rev).await,
    }
}

/// The status of one endpoint.
pub(crate) async fn status_of(
    global: &Global,
    endpoint: &str,
) -> Result<pb::StatusResponse, ToolError> {
    let mut client = MaintenanceClient::new(global.channel_to(endpoint).await?);
    Ok(client.status(pb::StatusRequest {}).await?.into_inner())
}

/// The hash of one endpoint's history up to a revision; 0 is the latest.
pub(crate) async fn hash_of(
    global: &Global,
    endpoint: &str,
    revision: i64,
) -> Result<pb::HashKvResponse, ToolError> {
    let mut client = MaintenanceClient::new(global.channel_to(endpoint).await?);
    Ok(client.hash_kv(pb::HashKvRequest { revision }).await?.into_inner())
}

/// How well one endpoint is.
#[derive(Debug)]
pub(crate) struct Health {
    pub(crate) endpoint: String,
    pub(crate) took: Duration,
    /// Why it is not well.
    pub(crate) error: Option<String>,
}

/// Asks one endpoint for a read that a majority must confirm, and for alarms.
pub(crate) async fn health_of(global: &Global, endpoint: &str) -> Health {
    let mut took = Duration::ZERO;
    let error = probe(global, endpoint, &mut took).await.err().map(|error| error.to_string());
    Health { endpoint: endpoint.to_owned(), took, error }
}

async fn probe(global: &Global, endpoint: &str, took: &mut Duration) -> Result<(), ToolError> {
    let wire = global.channel_to(endpoint).await?;
    let began = Instant::now();
    let request = pb::RangeRequest { key: "health".into(), ..pb::RangeRequest::default() };
    let answer = global.kv_on(wire.clone()).range(request).await;
    *took = began.elapsed();
    match answer {
        // A refusal went through a majority as well.
        Err(status) if status.code() != Code::PermissionDenied => return Err(status.into()),
        _ => {}
    }
    let request = pb::AlarmRequest::default();
    let answer = MaintenanceClient::new(wire).alarm(request).await;
    let fetched = |_| ToolError::Unhealthy("Unable to fetch the alarm list".to_owned());
    let alarms = answer.map_err(fetched)?.into_inner().alarms;
    if alarms.is_empty() {
        return Ok(());
    }
    let names: String =
        alarms.iter().map(|alarm| format!("{} ", alarm_name(alarm.alarm))).collect();
    Err(ToolError::Unhealthy(format!("Active Alarm(s): {names}")))
}

/// An alarm as etcd names it.
pub(crate) fn alarm_name(kind: i32) -> &'static str {
    match pb::AlarmType::try_from(kind) {
        Ok(pb::AlarmType::Nospace) => "NOSPACE",
        Ok(pb::AlarmType::Corrupt) => "CORRUPT",
        Ok(pb::AlarmType::None) => "NONE",
        Err(_) => "UNKNOWN",
    }
}

async fn status(global: &Global, targets: &[String]) -> Result<(), ToolError> {
    let all = join_all(targets.iter().map(|endpoint| status_of(global, endpoint))).await;
    let mut found = Vec::new();
    let mut failed = 0;
    for (endpoint, answer) in targets.iter().zip(all) {
        match answer {
            Ok(answer) => found.push((endpoint, answer)),
            Err(error) => {
                notice(format!("Failed to get the status of endpoint {endpoint} ({error})"));
                failed += 1;
            }
        }
    }
    global.output.show(
        Statuses(&found),
        || {
            let lines = found.iter().map(|(endpoint, answer)| status_line(endpoint, answer));
            lines.collect::<String>().into()
        },
        || status_table(&found),
    )?;
    unhealthy_unless(failed == 0, failed)
}

/// The status of each endpoint that answered.
struct Statuses<'a>(&'a [(&'a String, pb::StatusResponse)]);

impl Answer for Statuses<'_> {
    fn document(self, _: bool) -> Doc {
        Doc::list(self.0, |(endpoint, answer)| {
            let object = Object::new().with("Endpoint", *endpoint);
            object.with("Status", answers::status(answer)).into()
        })
    }

    fn fields(self, fields: &mut Fields, _: bool) {
        self.0.iter().for_each(|(endpoint, answer)| fields.status(endpoint, answer));
    }
}

/// How each endpoint is.
struct Healths<'a>(&'a [Health]);

impl Answer for Healths<'_> {
    fn document(self, _: bool) -> Doc {
        Doc::list(self.0, health_document)
    }

    fn fields(self, fields: &mut Fields, _: bool) {
        for health in self.0 {
            fields.quoted("Endpoint", &health.endpoint);
            fields.value("Health", health.error.is_none());
            fields.value("Took", go_duration(health.took));
            fields.value("Error", health.error.as_deref().unwrap_or_default());
            fields.end();
        }
    }
}

/// The hash of each endpoint that answered.
struct Hashes<'a>(&'a [(&'a String, pb::HashKvResponse)]);

impl Answer for Hashes<'_> {
    fn document(self, _: bool) -> Doc {
        Doc::list(self.0, |(endpoint, answer)| {
            let object = Object::new().with("Endpoint", *endpoint);
            object.with("HashKV", answers::hash_kv(answer)).into()
        })
    }

    fn fields(self, fields: &mut Fields, _: bool) {
        for (endpoint, answer) in self.0 {
            fields.header(answer.header.as_ref());
            fields.quoted("Endpoint", endpoint);
            fields.value("Hash", answer.hash);
            fields.value("HashRevision", answer.hash_revision);
            fields.end();
        }
    }
}

fn unhealthy_unless(well: bool, failed: usize) -> Result<(), ToolError> {
    if well {
        return Ok(());
    }
    Err(ToolError::Unhealthy(format!("{failed} endpoint(s) did not answer well")))
}

fn unsigned(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

fn percentage_not_in_use(answer: &pb::StatusResponse) -> i64 {
    100 - (answer.db_size_in_use * 100).checked_div(answer.db_size).unwrap_or(100)
}

fn status_line(endpoint: &str, answer: &pb::StatusResponse) -> String {
    let member = answer.header.as_ref().map_or(0, |header| header.member_id);
    let downgrade = answer.downgrade_info.clone().unwrap_or_default();
    [
        endpoint.to_owned(),
        format!("{member:x}"),
        answer.version.clone(),
        answer.storage_version.clone(),
        bytes(unsigned(answer.db_size)),
        bytes(unsigned(answer.db_size_in_use)),
        format!("{}%", percentage_not_in_use(answer)),
        bytes(unsigned(answer.db_size_quota)),
        (answer.leader == member).to_string(),
        answer.is_learner.to_string(),
        answer.raft_term.to_string(),
        answer.raft_index.to_string(),
        answer.raft_applied_index.to_string(),
        answer.errors.join(", "),
        downgrade.target_version,
        downgrade.enabled.to_string(),
    ]
    .join(", ")
        + "\n"
}

fn status_table(found: &[(&String, pb::StatusResponse)]) -> String {
    let mut table = Table::new(&[
        "ENDPOINT", "MEMBER", "ROLE", "VERSION", "DB SIZE", "IN USE", "QUOTA", "TERM", "INDEX",
        "APPLIED", "ERRORS",
    ]);
    for (endpoint, answer) in found {
        let member = answer.header.as_ref().map_or(0, |header| header.member_id);
        table.row(vec![
            (*endpoint).clone(),
            format!("{member:x}"),
            role(answer).to_owned(),
            answer.version.clone(),
            bytes(unsigned(answer.db_size)),
            bytes(unsigned(answer.db_size_in_use)),
            bytes(unsigned(answer.db_size_quota)),
            answer.raft_term.to_string(),
            answer.raft_index.to_string(),
            answer.raft_applied_index.to_string(),
            or_dash(&answer.errors.join(", ")),
        ]);
    }
    table.text("no endpoint answered")
}

/// A member's part in the cluster.
pub(crate) fn role(answer: &pb::StatusResponse) -> &'static str {
    let member = answer.header.as_ref().map_or(0, |header| header.member_id);
    match (answer.is_learner, answer.leader) {
        (true, _) => "learner",
        (false, 0) => "no leader",
        (false, leader) if leader == member => "leader",
        _ => "follower",
    }
}

async fn health(global: &Global, targets: &[String]) -> Result<(), ToolError> {
    let mut all = join_all(targets.iter().map(|endpoint| health_of(global, endpoint))).await;
    // Compat: etcdctl prints them as they come in; the sick ones go to standard error.
    all.sort_by(|one, other| one.endpoint.cmp(&other.endpoint));
    let failed = all.iter().filter(|health| health.error.is_some()).count();
    global.output.show(
        Healths(&all),
        || {
            let mut lines = String::new();
            for Health { endpoint, took, error } in &all {
                match error {
                    None => lines.push_str(&format!(
                        "{endpoint} is healthy: successfully committed proposal: took = {}\n",
                        go_duration(*took)
                    )),
                    Some(error) => notice(format!(
                        "{endpoint} is unhealthy: failed to commit proposal: {error}"
                    )),
                }
            }
            lines.into()
        },
        || {
            let mut table = Table::new(&["ENDPOINT", "HEALTH", "TOOK", "ERROR"]);
            for Health { endpoint, took, error } in &all {
                let word = if error.is_none() { "healthy" } else { "unhealthy" };
                let error = or_dash(error.as_deref().unwrap_or_default());
                table.row(vec![endpoint.clone(), word.into(), go_duration(*took), error]);
            }
            table.text("no endpoints")
        },
    )?;
    if failed == 0 { Ok(()) } else { Err(ToolError::Unhealthy("unhealthy cluster".to_owned())) }
}

fn health_document(health: &Health) -> Doc {
    Object::new()
        .with("endpoint", &health.endpoint)
        .with("health", health.error.is_none())
        .with("took", go_duration(health.took))
        .some("error", health.error.clone())
        .into()
}

async fn hash_kv(global: &Global, targets: &[String], revision: i64) -> Result<(), ToolError> {
    let all = join_all(targets.iter().map(|endpoint| hash_of(global, endpoint, revision))).await;
    let mut found = Vec::new();
    let mut last = None;
    for (endpoint, answer) in targets.iter().zip(all) {
        match answer {
            Ok(answer) => found.push((endpoint, answer)),
            Err(error) => {
                notice(format!("Failed to get the hash of endpoint {endpoint} ({error})"));
                last = Some(error);
            }
        }
    }
    global.output.show(
        Hashes(&found),
        || {
            let lines = found.iter().map(|(endpoint, answer)| {
                format!("{endpoint}, {}, {}\n", answer.hash, answer.hash_revision)
            });
            lines.collect::<String>().into()
        },
        || {
            let mut table = Table::new(&["ENDPOINT", "HASH", "REVISION", "COMPACTED"]);
            for (endpoint, answer) in &found {
                let figures = [
                    answer.hash.to_string(),
                    answer.hash_revision.to_string(),
                    answer.compact_revision.to_string(),
                ];
                table.row(std::iter::once((*endpoint).clone()).chain(figures).collect());
            }
            table.text("no endpoint answered")
        },
    )?;
    last.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::{alarm_name, role, status_line};
    use proto::etcdserverpb::{ResponseHeader, StatusResponse};

    #[test]
    fn a_status_without_a_size_is_no_division_by_zero() {
        let line = status_line("a:1", &StatusResponse::default());
        assert!(line.contains(", 0%, "), "{line}");
    }

    #[test]
    fn a_member_is_leader_follower_learner_or_lost() {
        let header = Some(ResponseHeader { member_id: 7, ..Default::default() });
        let status = |leader, is_learner| StatusResponse {
            header,
            leader,
            is_learner,
            ..Default::default()
        };
        assert_eq!(role(&status(7, false)), "leader");
        assert_eq!(role(&status(8, false)), "follower");
        assert_eq!(role(&status(8, true)), "learner");
        assert_eq!(role(&status(0, false)), "no leader");
        assert_eq!(alarm_name(1), "NOSPACE");
        assert_eq!(alarm_name(9), "UNKNOWN");
    }
}
