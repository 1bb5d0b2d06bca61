//! The differential runner with authentication on: one conversation, scripted at first and then
//! random, held by several users with the real etcd and with Engram.
//!
//! Every answer is compared with its error code and text, HashKV at the end, too. Afterwards the
//! log and the files of Engram are searched for passwords and tokens.
//!
//! Invariants: both servers get the same calls by the same users in the same order; with several
//! members each call goes to the same one of both, after that member has caught up.
//! Must not know: what the right answer is.

mod ask;
mod calls;
pub mod jwt;
mod random;
mod script;
mod secrets;

use std::path::Path;

use anyhow::{Context, Result};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::process::{self, Kind, Member, Programs};
use ask::{Ask, Step, Who};
use calls::Peer;
use random::Drawer;

/// Which tokens a conversation is held with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// `--auth-token simple`
    Simple,
    /// `--auth-token jwt,sign-method=HS256,…`
    Jwt,
}

/// How a conversation went.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Calls compared.
    pub calls: u64,
    /// What differed, or was found where it must not be; a difference ends the conversation.
    pub findings: Vec<String>,
}

/// The secret of the conversations with JWTs.
const JWT_SECRET: &str = "a secret that both servers share";

/// Holds one conversation with fresh clusters of `members` each.
///
/// *Errors*: only what keeps the runner from working.
pub async fn run(
    programs: &Programs,
    folder: &Path,
    (members, tokens): (usize, Tokens),
    (seed, random_calls): (u64, u64),
) -> Result<Outcome> {
    let flags = flags(folder, tokens)?;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let etcd = start(programs, Kind::Etcd, &folder.join("etcd"), members, &flags).await?;
    let engram = start(programs, Kind::Engram, &folder.join("engram"), members, &flags).await?;
    let mut peers = [Peer::open(&etcd).await?, Peer::open(&engram).await?];
    let mut outcome = Outcome::default();
    let mut drawer = Drawer::new(ChaCha8Rng::seed_from_u64(seed), members);
    let random = (0..random_calls).map(|_| drawer.step());
    for step in script::steps(members).into_iter().chain(random).chain(script::last()) {
        outcome.calls += 1;
        if let Some(finding) = compare(&mut peers, &step, outcome.calls).await? {
            outcome.findings.push(finding);
            outcome.findings.push(format!("engram's log: {}", engram[0].tail()));
            return Ok(outcome);
        }
    }
    let [_, ours] = &peers;
    outcome.findings.extend(secrets::found(&folder.join("engram"), ours.tokens())?);
    Ok(outcome)
}

fn flags(folder: &Path, tokens: Tokens) -> Result<Vec<String>> {
    let mut flags = vec!["--bcrypt-cost=4".to_owned()];
    if tokens == Tokens::Jwt {
        let file = folder.join("jwt.key");
        std::fs::write(&file, JWT_SECRET)?;
        let file = file.display();
        flags.push(format!("--auth-token=jwt,sign-method=HS256,priv-key={file},ttl=20m"));
    }
    Ok(flags)
}

async fn start(
    programs: &Programs,
    kind: Kind,
    folder: &Path,
    members: usize,
    flags: &[&str],
) -> Result<Vec<Member>> {
    std::fs::create_dir_all(folder)?;
    let mut flags = flags.to_vec();
    flags.push(match kind {
        Kind::Etcd => "--unsafe-no-fsync",
        // What is searched for secrets afterwards.
        Kind::Engram => "--log-level=debug",
    });
    let mut cluster = process::cluster(programs, kind, folder, members, &flags)?;
    for member in &mut cluster {
        member.start()?;
    }
    for member in &mut cluster {
        member.ready().await?;
    }
    Ok(cluster)
}

/// One call to both; what they do not agree on.
async fn compare(peers: &mut [Peer; 2], step: &Step, number: u64) -> Result<Option<String>> {
    let [etcd, engram] = peers;
    let at = || format!("call {number}: {step:?}");
    if etcd.is_cluster() {
        // What a member answers from its own state alone would otherwise depend on time.
        etcd.catch_up(step.member).await.with_context(at)?;
        engram.catch_up(step.member).await.with_context(at)?;
    }
    let (theirs, ours) = tokio::join!(etcd.answer(step), engram.answer(step));
    let (theirs, ours) = (theirs.with_context(at)?, ours.with_context(at)?);
    Ok((theirs != ours).then(|| format!("{}\n    etcd:   {theirs}\n    engram: {ours}", at())))
}
