//! The JSON gateway and the HTTP pages beside the real etcd's: written rows, a random conversation
//! in all spellings, broken bodies, streams and WebSockets.
//!
//! Invariants: both servers get the same bytes in the same order; codes, the headers that clients
//! see, and bodies must be equal, but for [`LEFT_OUT`].
//! Must not know: what the right answer is.

pub(crate) mod compare;
pub(crate) mod frames;
pub(crate) mod http;
mod listed;
pub(crate) mod paths;
mod rows;
pub(crate) mod spell;
pub(crate) mod streams;

use anyhow::Result;

use crate::diff::call;
use crate::diff::generate::{Generator, Position, Step};
pub use compare::LEFT_OUT;
use compare::{compared, revision};
pub use rows::GUARDED;
use spell::Speller;

/// How the comparison went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Requests whose answers were equal.
    pub passed: u64,
    /// What differed.
    pub findings: Vec<String>,
}

impl Outcome {
    fn add(&mut self, finding: Option<String>) {
        match finding {
            None => self.passed += 1,
            Some(finding) => self.findings.push(finding),
        }
    }
}

/// Two servers' URLs: the real etcd's and ours.
pub type Pair<'a> = [&'a str; 2];

/// Compares two fresh members, and two with [`GUARDED`] flags.
///
/// *Errors*: only what keeps the run from working; a difference is a finding.
pub async fn run(plain: Pair<'_>, guarded: Pair<'_>, seed: u64, requests: u64) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for (pair, rows) in [(plain, rows::ROWS), (guarded, rows::GUARDED_ROWS)] {
        for (method, path, headers, body) in rows {
            let name = format!("{method} {path} {headers:?} {body}");
            outcome.add(ask_both(pair, method, path, headers, body.as_bytes(), &name).await?.0);
        }
    }
    listed::run(plain, &mut outcome).await?;
    converse(plain, seed, requests, &mut outcome).await?;
    streams::run(plain, &mut outcome).await?;
    frames::run(plain, &mut outcome).await?;
    Ok(outcome)
}

/// A seeded conversation over JSON; every fourth body is broken as well.
async fn converse(pair: Pair<'_>, seed: u64, requests: u64, outcome: &mut Outcome) -> Result<()> {
    let (mut generator, mut speller) = (Generator::new(seed), Speller::new(seed));
    let mut at = Position { revision: revision(pair[0]).await?, compacted: 0 };
    for number in 0..requests {
        let mut step = generator.step(at);
        by_keys_alone(&mut step);
        let Some(call) = step.call() else { continue };
        let message = call::decoded(call::method(call.rpc)?.input(), &call.request)?;
        let Some((path, body)) = speller.request(call.rpc, &message)? else { continue };
        let name = format!("seed {seed}, request {number}: {path} {body}");
        if number % 4 == 0 && may_break(&step) {
            let broken = speller.broken(&body);
            let name = format!("broken, {name}: {}", String::from_utf8_lossy(&broken));
            outcome.add(ask_both(pair, "POST", path, "", &broken, &name).await?.0);
        }
        let (finding, code) = ask_both(pair, "POST", path, "", body.as_bytes(), &name).await?;
        outcome.add(finding);
        at.revision = revision(pair[0]).await?;
        if let (Step::Compact(compact), 200) = (&step, code) {
            at.compacted = compact.revision;
        }
    }
    Ok(())
}

/// Equal pairs of another sort come in any order.
fn by_keys_alone(step: &mut Step) {
    if let Step::Range(range) = step {
        range.sort_target = 0;
    }
}

/// What is left of these might mean something that the two servers need not agree on: a lease
/// without an id gets any, and see the conversation's own masks.
fn may_break(step: &Step) -> bool {
    !matches!(step, Step::Compact(_) | Step::Grant(_) | Step::HashKv(_))
}

/// What differs, if anything, and the real etcd's code.
async fn ask_both(
    [etcd, engram]: Pair<'_>,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
    name: &str,
) -> Result<(Option<String>, u16)> {
    let (theirs, ours) = tokio::join!(
        http::ask(etcd, method, path, headers, body),
        http::ask(engram, method, path, headers, body)
    );
    let (theirs, ours) = (theirs?, ours?);
    let difference = compared(path, &theirs, &ours);
    Ok((difference.map(|difference| format!("{name}\n{difference}")), theirs.code))
}
