//! `lease grant | revoke | timetolive | list | keep-alive`.
//!
//! Must not know: who keeps the time.

use clap::{Args, Subcommand};
use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, LeaseRevokeRequest,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use services::etcdserverpb::lease_client::LeaseClient;
use tonic::transport::Channel;

use super::{Global, parse_lease_id, print};
use crate::ToolError;

/// The verbs of `lease`.
#[derive(Debug, Subcommand)]
pub(crate) enum Lease {
    /// Create a lease of TTL seconds.
    Grant(Grant),
    /// Revoke a lease; its keys are deleted.
    Revoke(OfLease),
    /// Show how long a lease has left.
    Timetolive(TimeToLive),
    /// List the leases.
    List,
    /// Renew a lease until interrupted.
    KeepAlive(KeepAlive),
}

/// Options of `lease grant`.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// Time to live in seconds.
    ttl: i64,
}

/// A lease by its id.
#[derive(Debug, Args)]
pub(crate) struct OfLease {
    /// The lease's id, in hexadecimal.
    #[arg(value_parser = parse_lease_id)]
    id: i64,
}

/// Options of `lease timetolive`.
#[derive(Debug, Args)]
pub(crate) struct TimeToLive {
    #[command(flatten)]
    lease: OfLease,
    /// Show the attached keys too.
    #[arg(long)]
    keys: bool,
}

/// Options of `lease keep-alive`.
#[derive(Debug, Args)]
pub(crate) struct KeepAlive {
    #[command(flatten)]
    lease: OfLease,
    /// Renew once and stop.
    #[arg(long)]
    once: bool,
}

pub(crate) async fn run(global: &Global, lease: Lease) -> Result<(), ToolError> {
    let mut client = LeaseClient::new(global.channel().await?);
    match lease {
        Lease::Grant(grant) => {
            let request = LeaseGrantRequest { ttl: grant.ttl, id: 0 };
            let answer = client.lease_grant(request).await?.into_inner();
            print::line(
                format!("lease {:016x} granted with TTL({}s)", answer.id, answer.ttl).as_bytes(),
            )
        }
        Lease::Revoke(lease) => {
            client.lease_revoke(LeaseRevokeRequest { id: lease.id }).await?;
            print::line(format!("lease {:016x} revoked", lease.id).as_bytes())
        }
        Lease::Timetolive(ask) => {
            let request = LeaseTimeToLiveRequest { id: ask.lease.id, keys: ask.keys };
            let answer = client.lease_time_to_live(request).await?.into_inner();
            print::line(time_to_live_text(&answer, ask.keys).as_bytes())
        }
        Lease::List => {
            let answer = client.lease_leases(LeaseLeasesRequest {}).await?.into_inner();
            print::line(format!("found {} leases", answer.leases.len()).as_bytes())?;
            answer
                .leases
                .iter()
                .try_for_each(|lease| print::line(format!("{:016x}", lease.id).as_bytes()))
        }
        Lease::KeepAlive(keep) => keep_alive(&mut client, &keep).await,
    }
}

fn time_to_live_text(answer: &LeaseTimeToLiveResponse, with_keys: bool) -> String {
    if answer.ttl < 0 {
        return format!("lease {:016x} already expired", answer.id);
    }
    let mut text = format!(
        "lease {:016x} granted with TTL({}s), remaining({}s)",
        answer.id, answer.granted_ttl, answer.ttl
    );
    if with_keys {
        let keys: Vec<_> = answer.keys.iter().map(|key| String::from_utf8_lossy(key)).collect();
        text.push_str(&format!(", attached keys([{}])", keys.join(" ")));
    }
    text
}

async fn keep_alive(client: &mut LeaseClient<Channel>, keep: &KeepAlive) -> Result<(), ToolError> {
    let id = keep.lease.id;
    let (requests, outgoing) = tokio::sync::mpsc::channel(1);
    let queue_closed = |_| ToolError::Usage("the renewal stream is closed".to_owned());
    requests.send(LeaseKeepAliveRequest { id }).await.map_err(queue_closed)?;
    let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut answers = client.lease_keep_alive(outgoing).await?.into_inner();
    while let Some(answer) = answers.message().await? {
        if answer.ttl <= 0 {
            return Err(ToolError::Usage(format!("lease {id:016x} expired or revoked.")));
        }
        print::line(format!("lease {id:016x} keepalived with TTL({})", answer.ttl).as_bytes())?;
        if keep.once {
            return Ok(());
        }
        // A third of the time to live leaves two more tries before the lease runs out.
        let pause_ms = u64::try_from(answer.ttl).unwrap_or(1).saturating_mul(1000) / 3;
        tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
        requests.send(LeaseKeepAliveRequest { id }).await.map_err(queue_closed)?;
    }
    Ok(())
}
