//! One look at every member: status, latency, metrics, clock.
//!
//! Invariants: a member that does not answer is a sample too, with the reason; all are asked at
//! once and none longer than the command's timeout, so that a dead one costs no more.
//!
//! Must not know: what is made of the figures.

mod metrics;

use std::time::{Duration, Instant};

use futures::future::join_all;
use proto::etcdserverpb as pb;
use services::etcdserverpb::cluster_client::ClusterClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;

pub(crate) use metrics::Metrics;

use super::global::Global;
use crate::ToolError;
use crate::wire;

/// A member, or an endpoint of which no more is known.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) member: Option<pb::Member>,
    /// None for a member that has not started.
    pub(crate) endpoint: Option<String>,
}

/// What was seen of one.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) target: Target,
    pub(crate) at: Instant,
    /// How long the status took, or until it failed.
    pub(crate) took: Duration,
    pub(crate) status: Result<pb::StatusResponse, String>,
    pub(crate) metrics: Option<Metrics>,
    /// The member's clock minus ours, in seconds; exact to about one.
    pub(crate) clock_ahead_s: Option<f64>,
}

/// The members, or the endpoints given when nobody can list them.
///
/// The reason is told in the second case.
pub(crate) async fn targets(global: &Global) -> (Vec<Target>, Option<String>) {
    match list(global).await {
        Ok(members) => {
            let target = |member: pb::Member| {
                let endpoint = member.client_urls.first().cloned();
                Target { member: Some(member), endpoint }
            };
            (members.into_iter().map(target).collect(), None)
        }
        Err(error) => {
            let target =
                |endpoint: &String| Target { member: None, endpoint: Some(endpoint.clone()) };
            (global.endpoints.iter().map(target).collect(), Some(error.to_string()))
        }
    }
}

/// What a majority knows, else what the member asked knows.
pub(crate) async fn list(global: &Global) -> Result<Vec<pb::Member>, ToolError> {
    let mut client = ClusterClient::new(global.channel().await?);
    match client.member_list(pb::MemberListRequest { linearizable: true }).await {
        Ok(answer) => Ok(answer.into_inner().members),
        Err(_) => {
            let request = pb::MemberListRequest { linearizable: false };
            Ok(client.member_list(request).await?.into_inner().members)
        }
    }
}

/// Looks at all of them at once.
pub(crate) async fn look(global: &Global, targets: &[Target]) -> Vec<Sample> {
    join_all(targets.iter().map(|target| sample(global, target))).await
}

async fn sample(global: &Global, target: &Target) -> Sample {
    let at = Instant::now();
    let Some(endpoint) = &target.endpoint else {
        return Sample {
            target: target.clone(),
            at,
            took: Duration::ZERO,
            status: Err("not started".to_owned()),
            metrics: None,
            clock_ahead_s: None,
        };
    };
    let (status, page) = futures::join!(
        timed_status(global, endpoint),
        wire::get(&global.dialing, endpoint, "/metrics", global.command_timeout)
    );
    let (status, took) = status;
    let page = page.ok();
    let clock_ahead_s = page.as_ref().and_then(|page| page.date.as_deref()).and_then(clock_ahead_s);
    Sample {
        target: target.clone(),
        at,
        took,
        status: status.map_err(|error| error.to_string()),
        metrics: page.map(|page| Metrics::parse(&page.body)),
        clock_ahead_s,
    }
}

async fn timed_status(
    global: &Global,
    endpoint: &str,
) -> (Result<pb::StatusResponse, ToolError>, Duration) {
    let wire = match global.channel_to(endpoint).await {
        Ok(wire) => wire,
        Err(error) => return (Err(error), Duration::ZERO),
    };
    let began = Instant::now();
    let answer = MaintenanceClient::new(wire).status(pb::StatusRequest {}).await;
    (answer.map(tonic::Response::into_inner).map_err(ToolError::from), began.elapsed())
}

/// The `Date` header cuts the second off, so half of one is added back.
fn clock_ahead_s(date: &str) -> Option<f64> {
    let theirs = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let ours = jiff::Timestamp::now();
    Some((theirs.as_millisecond() - ours.as_millisecond()) as f64 / 1000.0 + 0.5)
}

impl Sample {
    /// The member's name, or its endpoint where there is none.
    pub(crate) fn name(&self) -> String {
        let member = self.target.member.as_ref();
        match (member.map(|member| member.name.as_str()), &self.target.endpoint) {
            (Some(name), _) if !name.is_empty() => name.to_owned(),
            (_, Some(endpoint)) => endpoint.clone(),
            (_, None) => member.map(|member| format!("{:x}", member.id)).unwrap_or_default(),
        }
    }

    /// Whether it has a vote; what is not known to be a learner counts as one that has.
    pub(crate) fn votes(&self) -> bool {
        match &self.target.member {
            Some(member) => !member.is_learner,
            None => self.status.as_ref().map_or(true, |status| !status.is_learner),
        }
    }

    /// Whether it answers and knows a leader.
    pub(crate) fn is_well(&self) -> bool {
        self.status.as_ref().is_ok_and(|status| status.leader != 0)
    }
}

/// Voters, those of them that are well, and how many a majority needs.
pub(crate) fn voters(samples: &[Sample]) -> (usize, usize, usize) {
    let voters = samples.iter().filter(|sample| sample.votes());
    let (all, well) =
        voters.fold((0, 0), |(all, well), sample| (all + 1, well + usize::from(sample.is_well())));
    (all, well, super::member::quorum(all))
}

/// The alarms of the cluster, as the first endpoint that answers knows them.
pub(crate) async fn alarms(global: &Global) -> Result<Vec<pb::AlarmMember>, ToolError> {
    let mut client = MaintenanceClient::new(global.channel().await?);
    Ok(client.alarm(pb::AlarmRequest::default()).await?.into_inner().alarms)
}

#[cfg(test)]
mod tests {
    use super::clock_ahead_s;

    #[test]
    fn the_date_of_an_answer_is_a_clock() {
        let ahead = clock_ahead_s("Fri, 01 Jan 2100 00:00:00 GMT").expect("a date");
        assert!(ahead > 3600.0, "{ahead}");
        assert!(clock_ahead_s("yesterday").is_none());
    }
}
