//! A lock or a campaign that must wait for those before it: whether it waits, and what it gets when
//! they are gone.
//!
//! Must not know: what is compared with what.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::call::Call;
use super::generate::Place;
use super::peer::{Answer, Peer};
use super::talk::Turn;

/// How long a call may take to take its place or to be answered.
const DEADLINE: Duration = Duration::from_secs(30);

/// Time between two looks.
const POLL: Duration = Duration::from_millis(2);

/// What etcd says when it refuses its own watch for a caller that waits.
const REFUSED_WATCHES: [&str; 2] =
    ["rpc error: code = Unauthenticated", "rpc error: code = PermissionDenied"];

/// The answers of both; `None` when the call was not made: it has a place behind others already,
/// and whether it is heard before these are gone would be chance. Also when etcd judged a wait by
/// the token of another; see `MASKS`.
pub(super) async fn ask(
    peers: &mut [Peer; 2],
    turn: &Turn,
    call: &Call,
    place: &Place,
) -> Result<Option<[Answer; 2]>> {
    let keys = peers[0].queue(&place.queue).await?;
    let before: Vec<_> = keys.iter().take_while(|key| **key != place.key).cloned().collect();
    if !before.is_empty() && before.len() < keys.len() {
        return Ok(None);
    }
    let [etcd, engram] = &mut *peers;
    let theirs = etcd.letter(turn.who, turn.member, call)?;
    let ours = engram.letter(turn.who, turn.member, call)?;
    let calls = [tokio::spawn(theirs.send()), tokio::spawn(ours.send())];
    let mut etcd_waits = false;
    if !before.is_empty() {
        let deadline = Instant::now() + DEADLINE;
        for (peer, made) in peers.iter().zip(&calls) {
            // Refused at once, or behind the others.
            while !made.is_finished() && !peer.queue(&place.queue).await?.contains(&place.key) {
                if Instant::now() > deadline {
                    bail!("{call:?} neither waits nor is answered");
                }
                crate::pause::pause(POLL).await;
            }
        }
        etcd_waits = peers[0].queue(&place.queue).await?.contains(&place.key);
        if calls.iter().any(|call| !call.is_finished()) {
            for peer in peers.iter() {
                for key in &before {
                    peer.remove(key).await?;
                }
            }
        }
    }
    let mut answers = Vec::new();
    for (peer, made) in peers.iter_mut().zip(calls) {
        let reply = tokio::time::timeout(DEADLINE, made).await??;
        answers.push(peer.read(call, reply).await?);
    }
    let refused = |refusal: &&str| answers[0].text.contains(*refusal);
    // Whoever waits and may have it must have got it here.
    if etcd_waits && answers[1].succeeded && REFUSED_WATCHES.iter().any(refused) {
        return Ok(None);
    }
    Ok(<[Answer; 2]>::try_from(answers).ok())
}
