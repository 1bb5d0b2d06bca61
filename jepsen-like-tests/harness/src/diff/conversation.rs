//! Holds the conversation with both servers and compares.
//!
//! Must not know: how steps are drawn.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use prost::Message as _;
use proto::etcdserverpb::{PutRequest, StatusResponse};
use tokio::time::timeout;

use super::generate::{Position, STREAMS, Step};
use super::peer::{Answer, Peer};
use super::queue;
use super::streams::Delivered;
use super::talk::{Plan, Talk, Turn};
use super::who::Who;
use crate::process;

/// A request that takes longer is a difference of its own.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// How long etcd may take after its start until it is as it stays: lets its members be changed, and
/// has written its version.
const SETTLED_DEADLINE: Duration = Duration::from_secs(20);

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
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests sent to each server.
    pub requests: u64,
    /// The RPCs that were asked for.
    pub rpcs: BTreeSet<&'static str>,
    /// Watch lines compared.
    pub watch_lines: u64,
    /// HashKV answers compared.
    pub hashes: u64,
    /// Where it ended early, if it did.
    pub difference: Option<Difference>,
}

/// Holds `steps` steps drawn from `seed` with two fresh clusters.
///
/// *Errors*: only what keeps the runner from working; a difference is an outcome.
pub async fn run(
    etcd_urls: &[&str],
    engram_urls: &[&str],
    plan: Plan,
    (seed, steps): (u64, u64),
) -> Result<Outcome> {
    let json = plan.json.then_some(seed);
    let mut peers =
        [Peer::of_members(etcd_urls, json).await?, Peer::of_members(engram_urls, json).await?];
    let mut talk = Talk::new(seed, plan);
    let mut at = Position { revision: 1, compacted: 0 };
    let mut outcome = Outcome::default();
    for number in 0..steps {
        let turn = talk.turn(at);
        let difference = match is_at_rest(&turn.step) || number % QUIET_EVERY == 0 {
            true => settle(&mut peers, at, number, &mut outcome).await?,
            false => None,
        };
        let difference = match difference {
            None => take_turn(&mut peers, &turn, number, &mut at, &mut talk)
                .await
                .with_context(|| format!("step {number}: {turn:?}"))?,
            some => some,
        };
        outcome.requests += 1;
        outcome.rpcs.insert(turn.step.rpc());
        outcome.hashes += u64::from(matches!(turn.step, Step::HashKv(_)));
        if difference.is_some() {
            outcome.difference = difference;
            return Ok(outcome);
        }
    }
    outcome.difference = settle(&mut peers, at, steps, &mut outcome).await?;
    // One more revision, so that the hash is not asked for at just the compacted one.
    let last = Step::Put(PutRequest { key: "last".into(), ..PutRequest::default() });
    for step in [last, Step::HashKv(0)] {
        if outcome.difference.is_none() && (at.revision > at.compacted || is_put(&step)) {
            outcome.hashes += u64::from(!is_put(&step));
            let turn = Turn { who: Who::Keeper, member: 0, step };
            outcome.difference = take_turn(&mut peers, &turn, steps, &mut at, &mut talk).await?;
        }
    }
    Ok(outcome)
}

fn is_put(step: &Step) -> bool {
    matches!(step, Step::Put(_))
}

/// A compaction and a hash are met at rest: what a catching-up watch sees of them is open. So is
/// what opens the streams anew.
fn is_at_rest(step: &Step) -> bool {
    match step {
        Step::Compact(_) | Step::HashKv(_) => true,
        Step::Other(call) => {
            call.rpc.ends_with("/AuthEnable") || call.rpc.ends_with("/AuthDisable")
        }
        _ => false,
    }
}

/// Takes the turn with both and compares the answers; moves the position.
async fn take_turn(
    peers: &mut [Peer; 2],
    turn: &Turn,
    number: u64,
    at: &mut Position,
    talk: &mut Talk,
) -> Result<Option<Difference>> {
    for peer in peers.iter() {
        peer.catch_up(turn.member).await?;
    }
    let Some([theirs, ours]) = ask_both(peers, turn).await? else { return Ok(None) };
    if talk.traces() {
        println!("  {number}: {turn:?}\n    {}", theirs.text);
    }
    if theirs.text != ours.text {
        let request = format!("{turn:?}");
        return Ok(Some(Difference {
            step: number,
            request,
            etcd: theirs.text,
            engram: ours.text,
        }));
    }
    at.revision = at.revision.max(theirs.revision);
    if let (Step::Compact(request), true) = (&turn.step, theirs.succeeded) {
        at.compacted = request.revision;
    }
    talk.heard(&turn.step, theirs.message.as_ref());
    Ok(None)
}

/// Both answers; `None` when the turn cannot be compared now.
async fn ask_both(peers: &mut [Peer; 2], turn: &Turn) -> Result<Option<[Answer; 2]>> {
    match &turn.step {
        Step::Queue(call, place) => return queue::ask(peers, turn, call, place).await,
        // It would wait for a leader.
        Step::Observe(request) => {
            let queue = [request.name.as_ref(), b"/"].concat();
            if peers[0].queue(&queue).await?.is_empty() {
                return Ok(None);
            }
        }
        step if step.rpc().starts_with("etcdserverpb.Cluster/Member") => {
            let early = |answer: &Answer| answer.text.contains("unhealthy cluster");
            return ask_settled(peers, turn, early).await.map(Some);
        }
        step if step.rpc() == "etcdserverpb.Maintenance/Status" => {
            let early = |answer: &Answer| answer.message.as_ref().is_some_and(is_of_the_start);
            return ask_settled(peers, turn, early).await.map(Some);
        }
        _ => {}
    }
    let [etcd, engram] = peers;
    let limit = |peer: &'static str| move |_| anyhow!("{peer} did not answer");
    let (theirs, ours) = tokio::join!(
        timeout(ANSWER_DEADLINE, etcd.take(turn)),
        timeout(ANSWER_DEADLINE, engram.take(turn))
    );
    Ok(Some([theirs.map_err(limit("etcd"))??, ours.map_err(limit("engram"))??]))
}

/// Compat: in the first seconds etcd calls the cluster unhealthy, and tells an older version of its
/// storage; it is asked until they are over.
async fn ask_settled(
    peers: &mut [Peer; 2],
    turn: &Turn,
    is_early: impl Fn(&Answer) -> bool,
) -> Result<[Answer; 2]> {
    let deadline = Instant::now() + SETTLED_DEADLINE;
    let mut theirs = peers[0].take(turn).await?;
    while is_early(&theirs) && Instant::now() < deadline {
        crate::pause::pause(process::POLL).await;
        theirs = peers[0].take(turn).await?;
    }
    Ok([theirs, peers[1].take(turn).await?])
}

/// Whether a storage version is told that is not yet the one of the program.
fn is_of_the_start(status: &Bytes) -> bool {
    let status = StatusResponse::decode(status.clone()).unwrap_or_default();
    let written = status.storage_version.rsplit_once('.').map_or("", |(minor, _)| minor);
    written.is_empty() || !status.version.starts_with(written)
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
    let mut lines = [Delivered::new(), Delivered::new()];
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

fn first_difference(theirs: &Delivered, ours: &Delivered) -> Option<(String, String)> {
    let watches: BTreeSet<_> = theirs.keys().chain(ours.keys()).collect();
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
