//! `lease grant | revoke | timetolive | list | keep-alive`.
//!
//! Must not know: who keeps the time.

use std::time::Duration;

use clap::{Args, Subcommand};
use proto::etcdserverpb::{
    LeaseGrantRequest, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseLeasesRequest,
    LeaseLeasesResponse, LeaseRevokeRequest, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};
use services::etcdserverpb::lease_client::LeaseClient;
use tokio::sync::mpsc;
use tonic::Status;

use super::global::Global;
use super::range::parse_lease_id;
use super::show::{self, Output, Table, text};
use crate::ToolError;
use crate::catalogue::Id;
use crate::wire::Wire;

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
    #[arg(allow_negative_numbers = true)]
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
    let wire = global.channel().await?;
    let mut client = LeaseClient::new(wire.clone());
    let output = &global.output;
    match lease {
        Lease::Grant(grant) => {
            let request = LeaseGrantRequest { ttl: grant.ttl, id: 0 };
            let answer = client.lease_grant(request).await?.into_inner();
            output.say(&answer, || {
                format!("lease {:016x} granted with TTL({}s)", answer.id, answer.ttl)
            })
        }
        Lease::Revoke(lease) => {
            let request = LeaseRevokeRequest { id: lease.id };
            let answer = client.lease_revoke(request).await?.into_inner();
            output.say(&answer, || format!("lease {:016x} revoked", lease.id))
        }
        Lease::Timetolive(ask) => {
            let request = LeaseTimeToLiveRequest { id: ask.lease.id, keys: ask.keys };
            let answer = client.lease_time_to_live(request).await?.into_inner();
            output.say(&answer, || time_to_live_text(output, &answer, ask.keys))
        }
        Lease::List => {
            let answer = client.lease_leases(LeaseLeasesRequest {}).await?.into_inner();
            list(output, &mut client, &answer).await
        }
        Lease::KeepAlive(keep) => keep_alive(output, wire, &keep).await,
    }
}

fn time_to_live_text(output: &Output, answer: &LeaseTimeToLiveResponse, keys: bool) -> String {
    if answer.ttl < 0 {
        return format!("lease {:016x} already expired", answer.id);
    }
    let mut text = format!(
        "lease {:016x} granted with TTL({}s), remaining({}s)",
        answer.id, answer.granted_ttl, answer.ttl
    );
    if keys {
        let keys = answer
            .keys
            .iter()
            .map(|key| if output.is_table() { output.cell(key) } else { text::safe_lines(key) });
        text.push_str(&format!(", attached keys([{}])", keys.collect::<Vec<_>>().join(" ")));
    }
    text
}

async fn list(
    output: &Output,
    client: &mut LeaseClient<Wire>,
    answer: &LeaseLeasesResponse,
) -> Result<(), ToolError> {
    let mut table = Table::new(&["LEASE", "TTL", "REMAINING", "KEYS"]);
    if output.is_table() {
        for lease in &answer.leases {
            let ask = LeaseTimeToLiveRequest { id: lease.id, keys: true };
            let more = client.lease_time_to_live(ask).await?.into_inner();
            let remaining = if more.ttl < 0 { "expired".into() } else { format!("{}s", more.ttl) };
            let cells = [format!("{}s", more.granted_ttl), remaining, more.keys.len().to_string()];
            table.row(std::iter::once(format!("{:016x}", lease.id)).chain(cells).collect());
        }
    }
    output.show(
        answer,
        || {
            let mut text = format!("found {} leases\n", answer.leases.len());
            answer.leases.iter().for_each(|lease| text.push_str(&format!("{:016x}\n", lease.id)));
            text.into()
        },
        || table.text("no leases"),
    )
}

async fn keep_alive(output: &Output, wire: Wire, keep: &KeepAlive) -> Result<(), ToolError> {
    let id = keep.lease.id;
    let mut renewal = Renewal::start(wire, id).await?;
    loop {
        let answer = renewal.once().await?;
        if answer.ttl <= 0 {
            if keep.once {
                return Err(
                    tonic::Status::not_found("etcdserver: requested lease not found").into()
                );
            }
            // Compat: etcdctl ends well here.
            return show::line(format!("lease {id:016x} expired or revoked."));
        }
        output.say(&answer, || format!("lease {id:016x} keepalived with TTL({})", answer.ttl))?;
        if keep.once {
            return Ok(());
        }
        tokio::time::sleep(pause(answer.ttl)).await;
    }
}

/// A third of the time to live leaves two more tries before the lease runs out.
fn pause(ttl_s: i64) -> Duration {
    Duration::from_millis(u64::try_from(ttl_s).unwrap_or(1).saturating_mul(1000) / 3)
}

/// Renewals of one lease, on a stream that is opened anew when its token has run out.
pub(crate) struct Renewal {
    wire: Wire,
    id: i64,
    stream: Stream,
}

/// An open stream.
struct Stream {
    requests: mpsc::Sender<LeaseKeepAliveRequest>,
    answers: tonic::Streaming<LeaseKeepAliveResponse>,
    /// The request that opened the stream is answered first.
    asked: bool,
}

impl Renewal {
    /// Opens the stream, with the first renewal.
    pub(crate) async fn start(wire: Wire, id: i64) -> Result<Self, ToolError> {
        let stream = Stream::open(&wire, id).await?;
        Ok(Self { wire, id, stream })
    }

    /// Renews; a TTL of 0 says that the lease is gone.
    pub(crate) async fn once(&mut self) -> Result<LeaseKeepAliveResponse, ToolError> {
        let (wire, id, stream) = (&self.wire, self.id, &mut self.stream);
        let mut is_new = true;
        let renew = async || {
            if !std::mem::take(&mut is_new) {
                *stream = Stream::open(wire, id).await?;
            }
            stream.once(id).await
        };
        Ok(wire.again(renew).await?)
    }

    /// Renews until the lease is gone or the server is.
    pub(crate) async fn keep(mut self) -> ToolError {
        loop {
            match self.once().await {
                Ok(answer) if answer.ttl > 0 => tokio::time::sleep(pause(answer.ttl)).await,
                Ok(_) => return lost(),
                Err(error) => return error,
            }
        }
    }
}

impl Stream {
    async fn open(wire: &Wire, id: i64) -> Result<Self, Status> {
        let (requests, outgoing) = mpsc::channel(1);
        requests.send(LeaseKeepAliveRequest { id }).await.map_err(|_| ended())?;
        let outgoing = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        let mut client = LeaseClient::new(wire.clone());
        let answers = client.lease_keep_alive(outgoing).await?.into_inner();
        Ok(Self { requests, answers, asked: true })
    }

    async fn once(&mut self, id: i64) -> Result<LeaseKeepAliveResponse, Status> {
        if !std::mem::take(&mut self.asked) {
            // A stream that was closed says why when it is read.
            let _ = self.requests.send(LeaseKeepAliveRequest { id }).await;
        }
        self.answers.message().await?.ok_or_else(ended)
    }
}

fn ended() -> Status {
    Status::unavailable("the stream of renewals ended")
}

fn lost() -> ToolError {
    ToolError::of(Id::SessionLost, "session expired")
}
