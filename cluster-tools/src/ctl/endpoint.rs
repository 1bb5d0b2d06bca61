//! `endpoint status` and `endpoint health`: one line for each endpoint, also for the silent ones.
//!
//! Must not know: which endpoints belong together.

use std::time::Instant;

use clap::Subcommand;
use proto::etcdserverpb::{RangeRequest, StatusRequest, StatusResponse};
use serde_json::json;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::transport::Channel;

use super::Global;
use super::print::{self, Format};
use crate::ToolError;

/// The verbs of `endpoint`.
#[derive(Debug, Subcommand)]
pub(crate) enum EndpointVerb {
    /// Member, version, size, leader, term and index of each endpoint.
    Status,
    /// Whether each endpoint commits a read.
    Health,
}

pub(crate) async fn run(global: &Global, verb: EndpointVerb) -> Result<(), ToolError> {
    let mut failed = 0;
    for (endpoint, channel) in crate::connect_each(&global.endpoints).await {
        let outcome = match (channel, &verb) {
            (Err(error), _) => Err(error),
            (Ok(channel), EndpointVerb::Status) => status(global, &endpoint, channel).await,
            (Ok(channel), EndpointVerb::Health) => health(&endpoint, channel).await,
        };
        if let Err(error) = outcome {
            eprintln!("{endpoint}: {error}");
            failed += 1;
        }
    }
    if failed > 0 {
        return Err(ToolError::Unhealthy(format!("{failed} endpoint(s) did not answer well")));
    }
    Ok(())
}

async fn status(global: &Global, endpoint: &str, channel: Channel) -> Result<(), ToolError> {
    let answer = MaintenanceClient::new(channel).status(StatusRequest {}).await?.into_inner();
    if global.write_out == Format::Json {
        return print::json_line(&status_json(endpoint, &answer));
    }
    let member_id = answer.header.as_ref().map_or(0, |header| header.member_id);
    print::line(
        format!(
            "{endpoint}, {member_id:x}, {}, {} bytes, leader {}, learner {}, term {}, index {}, applied {}, {}",
            answer.version,
            answer.db_size,
            answer.leader == member_id,
            answer.is_learner,
            answer.raft_term,
            answer.raft_index,
            answer.raft_applied_index,
            answer.errors.join("; ")
        )
        .trim_end_matches(", ")
        .as_bytes(),
    )
}

fn status_json(endpoint: &str, answer: &StatusResponse) -> serde_json::Value {
    json!({
        "endpoint": endpoint,
        "header": print::header(answer.header.as_ref()),
        "version": answer.version,
        "db_size_bytes": answer.db_size,
        "db_size_in_use_bytes": answer.db_size_in_use,
        "leader": format!("{:x}", answer.leader),
        "is_learner": answer.is_learner,
        "raft_term": answer.raft_term,
        "raft_index": answer.raft_index,
        "raft_applied_index": answer.raft_applied_index,
        "errors": answer.errors,
    })
}

async fn health(endpoint: &str, channel: Channel) -> Result<(), ToolError> {
    let started = Instant::now();
    let request = RangeRequest { key: "health".into(), ..RangeRequest::default() };
    KvClient::new(channel).range(request).await?;
    let took_ms = started.elapsed().as_secs_f64() * 1000.0;
    print::line(
        format!("{endpoint} is healthy: successfully committed proposal: took = {took_ms:.3}ms")
            .as_bytes(),
    )
}
