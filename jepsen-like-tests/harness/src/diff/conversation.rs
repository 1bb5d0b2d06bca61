//! Holds the conversation with both servers and compares.
//!
//! Must not know: how steps are drawn.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use prost::Message;
use proto::etcdserverpb::{
    HashKvRequest, LeaseKeepAliveRequest, LeaseLeasesRequest, PutRequest, RangeRequest,
    RangeResponse,
};
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use super::generate::{Generator, Position, STREAMS, Step};
use super::mask;
use super::streams::Stream;
use crate::process;

/// A request that takes longer is a difference of its own.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// Steps between two quiet points.
const QUIET_EVERY: u64 = 50;

/// The first thing the two servers did not agree on.
#[derive(Debug)]
pub struct Difference {
    /// The step's number, from 0.
    pub step: u64,
    /// What was asked.
    pub request: String,
    /// What the real etcd answered.
    pub etcd: String,
    /// What Engram answered.
    pub engram: String,
}

/// How a conversation went.
#[derive(Debug)]
pub struct Outcome {
    /// Requests sent to each server.
    pub requests: u64,
    /// Watch lines compared.
    pub watch_lines: u64,
    /// HashKV answers compared.
    pub hashes: u64,
    /// Where it ended early, if it did.
    pub difference: Option<Difference>,
}

/// One server's clients and open watch streams.
pub(crate) struct Peer {
    channel: Channel,
    kv: KvClient<Channel>,
    lease: LeaseClient<Channel>,
    maintenance: MaintenanceClient<Channel>,
    pub(crate) streams: Vec<Stream>,
}

/// Holds `steps` steps drawn from `seed` with two fresh servers.
///
/// *Errors*: only what keeps the runner from working; a difference is an outcome.
pub async fn run(etcd_url: &str, engram_url: &str, seed: u64, steps: u64) -> Result<Outcome> {
    let mut peers = [Peer::open(etcd_url).await?, Peer::open(engram_url).await?];
    let mut generator = Generator::new(seed);
    let mut at = Position { revision: 1, compacted: 0 };
    let mut outcome = Outcome { requests: 0, watch_lines: 0, hashes: 0, difference: None };
    for number in 0..steps {
        let step = generator.step(at);
        // A compaction and a hash are met at rest: what a catching-up watch sees of them is open.
        let at_rest =
            matches!(step, Step::Compact(_) | Step::HashKv(_)) || number % QUIET_EVERY == 0;
        let difference = match at_rest {
            true => settle(&mut peers, at, number, &mut outcome).await?,
            false => None,
        };
        let difference = match difference {
            None => take_step(&mut peers, &step, number, &mut at).await?,
            some => some,
        };
        outcome.requests += 1;
        outcome.hashes += u64::from(matches!(step, Step::HashKv(_)));
        if difference.is_some() {
            outcome.difference = difference;
            return Ok(outcome);
        }
    }
    outcome.difference = settle(&mut peers, at, steps, &mut outcome).await?;
    if outcome.difference.is_none() {
        // One more revision, so that the hash is not asked for at just the compacted one.
        let last = Step::Put(PutRequest { key: "last".into(), ..PutRequest::default() });
        outcome.difference = take_step(&mut peers, &last, steps, &mut at).await?;
    }
    if outcome.difference.is_none() {
        outcome.difference = take_step(&mut peers, &Step::HashKv(0), steps, &mut at).await?;
        outcome.hashes += 1;
    }
    Ok(outcome)
}

/// Sends the step to both and compares the answers; moves the position.
async fn take_step(
    peers: &mut [Peer; 2],
    step: &Step,
    number: u64,
    at: &mut Position,
) -> Result<Option<Difference>> {
    let [etcd, engram] = peers;
    let limit =
        |peer: &'static str| move |_| anyhow!("{peer} did not answer step {number}: {step:?}");
    let (theirs, ours) = tokio::join!(
        timeout(ANSWER_DEADLINE, etcd.answer(step)),
        timeout(ANSWER_DEADLINE, engram.answer(step))
    );
    let (theirs, ours) = (theirs.map_err(limit("etcd"))??, ours.map_err(limit("engram"))??);
    if theirs.text != ours.text {
        let request = format!("{step:?}");
        return Ok(Some(Difference {
            step: number,
            request,
            etcd: theirs.text,
            engram: ours.text,
        }));
    }
    at.revision = at.revision.max(theirs.revision);
    if let (Step::Compact(request), true) = (step, theirs.succeeded) {
        at.compacted = request.revision;
    }
    Ok(None)
}

/// Waits until both servers delivered all they have, then compares each watch.
async fn settle(
    peers: &mut [Peer; 2],
    at: Position,
    number: u64,
    outcome: &mut Outcome,
) -> Result<Option<Difference>> {
    // The answer to a revoke does not tell of the revision it made, so the revision is asked for.
    let revision = peers[0].revision().await?.max(at.revision);
    for stream in 0..STREAMS {
        for (peer, name) in peers.iter().zip(["etcd", "engram"]) {
            // The last stream holds watches of the future, which a progress answer may not pass.
            if stream + 1 < STREAMS {
                let context = || format!("{name}, stream {stream}, step {number}");
                peer.streams[stream].quiet(revision).await.with_context(context)?;
            }
        }
        if stream + 1 == STREAMS {
            continue;
        }
        let (theirs, ours) = (peers[0].streams[stream].take(), peers[1].streams[stream].take());
        outcome.watch_lines += theirs.values().map(|lines| lines.len() as u64).sum::<u64>();
        if let Some((etcd, engram)) = first_difference(&theirs, &ours) {
            let request = format!("watch stream {stream}");
            return Ok(Some(Difference { step: number, request, etcd, engram }));
        }
    }
    settle_future(peers, number, outcome).await
}

/// Watches of the future owe the same lines, but nothing says when: they are waited for.
async fn settle_future(
    peers: &mut [Peer; 2],
    number: u64,
    outcome: &mut Outcome,
) -> Result<Option<Difference>> {
    let deadline = Instant::now() + ANSWER_DEADLINE;
    let mut lines = [super::streams::Delivered::new(), super::streams::Delivered::new()];
    loop {
        for (peer, lines) in peers.iter().zip(&mut lines) {
            for (watch, more) in peer.streams[STREAMS - 1].take() {
                lines.entry(watch).or_default().extend(more);
            }
        }
        let difference = first_difference(&lines[0], &lines[1]);
        match difference {
            None => {
                outcome.watch_lines +=
                    lines[0].values().map(|lines| lines.len() as u64).sum::<u64>();
                return Ok(None);
            }
            Some((etcd, engram)) if Instant::now() > deadline => {
                let request = "watch stream of the future".to_owned();
                return Ok(Some(Difference { step: number, request, etcd, engram }));
            }
            Some(_) => crate::pause::pause(process::POLL).await,
        }
    }
}

fn first_difference(
    theirs: &super::streams::Delivered,
    ours: &super::streams::Delivered,
) -> Option<(String, String)> {
    let watches: std::collections::BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
    let none = Vec::new();
    for watch in watches {
        let (theirs, ours) = (theirs.get(watch).unwrap_or(&none), ours.get(watch).unwrap_or(&none));
        if theirs != ours {
            let at = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
            let show = |lines: &[String]| {
                format!("watch {watch}, line {at} of {}: {:#?}", lines.len(), lines.get(at))
            };
            return Some((show(theirs), show(ours)));
        }
    }
    None
}

/// An answer as text, and what moves the position.
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) revision: i64,
    pub(crate) succeeded: bool,
}

impl Answer {
    fn of<T: std::fmt::Debug>(
        answer: Result<Response<T>, Status>,
        revision: impl FnOnce(&T) -> i64,
        mask: impl FnOnce(&mut T),
    ) -> Self {
        let succeeded = answer.is_ok();
        let revision = answer.as_ref().map_or(0, |response| revision(response.get_ref()));
        Self { text: mask::text(answer, mask), revision, succeeded }
    }

    fn nothing() -> Self {
        Self { text: String::new(), revision: 0, succeeded: true }
    }
}

macro_rules! answered {
    ($answer:expr, $mask:expr) => {
        Answer::of(
            $answer,
            |message| message.header.as_ref().map_or(0, |header| header.revision),
            $mask,
        )
    };
}

impl Peer {
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let channel = process::dial(url).await?;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            // A connection each: a watch stream must not wait behind another's window.
            streams.push(Stream::open(process::dial(url).await?).await?);
        }
        Ok(Self {
            kv: KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX),
            lease: LeaseClient::new(channel.clone()),
            maintenance: MaintenanceClient::new(channel.clone()),
            channel,
            streams,
        })
    }

    pub(crate) fn stream_without_watches(&self) -> Stream {
        Stream::without_watches(self.channel.clone())
    }

    pub(crate) async fn answer(&mut self, step: &Step) -> Result<Answer> {
        let header = |header: &mut _| mask::header(header);
        Ok(match step {
            Step::Range(request) => {
                answered!(self.kv.range(request.clone()).await, |a| mask::range(request, a))
            }
            Step::RangeStream(request) => {
                let merged = self.range_stream(request.clone()).await.map(Response::new);
                answered!(merged, |a| mask::range(request, a))
            }
            Step::Put(request) => {
                answered!(self.kv.put(request.clone()).await, |a| header(&mut a.header))
            }
            Step::Delete(request) => {
                answered!(self.kv.delete_range(request.clone()).await, |a| header(&mut a.header))
            }
            Step::Txn(request) => answered!(self.kv.txn(request.clone()).await, mask::txn),
            Step::Compact(request) => {
                answered!(self.kv.compact(*request).await, |a| header(&mut a.header))
            }
            Step::Grant(request) => {
                answered!(self.lease.lease_grant(*request).await, |a| header(&mut a.header))
            }
            Step::Revoke(request) => {
                answered!(self.lease.lease_revoke(*request).await, |a| header(&mut a.header))
            }
            Step::TimeToLive(request) => {
                answered!(self.lease.lease_time_to_live(*request).await, mask::time_to_live)
            }
            Step::Leases => {
                answered!(self.lease.lease_leases(LeaseLeasesRequest {}).await, mask::leases)
            }
            Step::KeepAlive(id) => self.keep_alive(*id).await,
            Step::HashKv(revision) => {
                let request = HashKvRequest { revision: *revision };
                answered!(self.maintenance.hash_kv(request).await, |a| header(&mut a.header))
            }
            Step::Watch(stream, create) => {
                self.streams[*stream].create(create.clone()).await?;
                Answer::nothing()
            }
            Step::Cancel(stream, watch_id) => {
                // What a watch of the past was not told yet depends on the moment; see `MASKS`.
                let now = self.revision().await?;
                self.streams[*stream].quiet(now).await?;
                self.streams[*stream].cancel(*watch_id).await?;
                // An unknown id is met with silence; a progress answer shows that the cancel was
                // read.
                self.streams[*stream].quiet(1).await?;
                Answer::nothing()
            }
        })
    }

    /// The revision of the store now.
    async fn revision(&mut self) -> Result<i64> {
        let request = RangeRequest { key: "revision".into(), ..RangeRequest::default() };
        let answer = self.kv.range(request).await?.into_inner();
        Ok(answer.header.map_or(0, |header| header.revision))
    }

    async fn keep_alive(&mut self, id: i64) -> Answer {
        let request = Request::new(tokio_stream::once(LeaseKeepAliveRequest { id }));
        let answer = match self.lease.lease_keep_alive(request).await {
            Ok(stream) => match stream.into_inner().message().await {
                Ok(Some(answer)) => Ok(Response::new(answer)),
                Ok(None) => Err(Status::unknown("the stream ended without an answer")),
                Err(status) => Err(status),
            },
            Err(status) => Err(status),
        };
        answered!(answer, |a| mask::header(&mut a.header))
    }

    /// All pieces merged as protobuf merges them: etcd promises that this equals `Range`.
    async fn range_stream(&mut self, request: RangeRequest) -> Result<RangeResponse, Status> {
        let mut pieces = self.kv.range_stream(request).await?.into_inner();
        let mut merged = RangeResponse::default();
        while let Some(piece) = pieces.message().await? {
            if let Some(part) = piece.range_response {
                merged
                    .merge(part.encode_to_vec().as_slice())
                    .map_err(|error| Status::internal(error.to_string()))?;
            }
        }
        Ok(merged)
    }
}
