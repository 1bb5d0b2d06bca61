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

/// The answers of both; `None` when the call was not made: it has a place behind others already,
/// and whether it is heard before these are gone would be chance.
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
        let waits = [!calls[0].is_finished(), !calls[1].is_finished()];
        if waits[0] || waits[1] {
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
    Ok(<[Answer; 2]>::try_from(answers).ok())
}
