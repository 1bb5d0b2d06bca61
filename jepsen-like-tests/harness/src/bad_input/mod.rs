//! Bad input: each case with its exact answer, on Engram and on the real etcd where it can be asked
//! too, and with the state as it was before.
//!
//! `rows` is the list of the sixty cases: what each is answered with and which check proves it.
//! `docs/compatibility/bad-input.md` is that list as a page.
//!
//! Invariants: what is expected is written down here; where the real etcd answers another way that
//! is written down too, with the reason; a check that a row names and that did not run is a
//! finding.
//!
//! Must not know: how a server decodes.

mod administration;
mod clock;
mod data_files;
mod disks;
mod floods;
mod frames;
mod guard;
mod http1;
mod http2;
mod live_damage;
mod page;
mod peer_states;
mod peers;
mod rows;
mod rows_beyond_grpc;
mod services;
mod snapshot_files;
mod sockets;
mod start;
mod start_cases;
mod tokens;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::process::{self, Kind, Member, Programs};

pub use page::page;
pub use services::OURS_ALONE;
pub use start_cases::ANSWERED_ANOTHER_WAY;

/// How much is done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Frames of each flood, connections, flipped bytes: this many times what the short form has.
    pub scale: u32,
    /// Only the parts whose name holds this.
    pub only: Option<String>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Checks that held.
    pub passed: u64,
    /// What did not, in words.
    pub findings: Vec<String>,
    /// The checks that ran, by row and name.
    ran: BTreeSet<(u8, String)>,
}

impl Outcome {
    /// Notes a check that cannot be made here, and says so.
    fn skip(&mut self, row: u8, name: &str, why: &str) {
        println!("  NOT RUN: row {row}, {name}: {why}");
        self.ran.insert((row, name.to_owned()));
    }

    /// Notes a check of a row.
    fn check(&mut self, row: u8, name: &str, held: Result<(), impl std::fmt::Display>) {
        self.ran.insert((row, name.to_owned()));
        match held {
            Ok(()) => self.passed += 1,
            Err(wrong) => self.findings.push(format!("row {row}, {name}: {wrong:#}")),
        }
    }
}

/// Runs every part on fresh servers in `folder`.
///
/// *Errors*: a server could not be started or reached at all.
pub async fn run(programs: &Programs, folder: &Path, plan: &Plan) -> Result<Outcome> {
    let wanted = |name: &str| plan.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    macro_rules! parts {
        ($outcome:ident, $($name:literal: $run:expr;)*) => {{
            let mut $outcome = Outcome::default();
            $(if wanted($name) {
                let (began, before) = (Instant::now(), $outcome.passed);
                $run.await?;
                let (checks, took) = ($outcome.passed - before, began.elapsed().as_secs_f64());
                println!("bad-input {}: {checks} checks in {took:.1} s", $name);
            })*
            anyhow::Ok($outcome)
        }};
    }
    let place = |name: &str| folder.join(name);
    // Two lanes: most of it is waiting for servers to start.
    let one = async {
        parts! { outcome,
            "services": services_part(programs, &place("services"), plan, &mut outcome);
            "tokens": tokens::run(programs, &place("tokens"), &mut outcome);
            "peers": peers::run(programs, &place("peers"), &mut outcome);
        }
    };
    let other = async {
        parts! { outcome,
            "start": start::run(programs, &place("start"), &mut outcome);
            "data": data_files::run(programs, &place("data"), plan, &mut outcome);
            "snapshots": snapshot_files::run(programs, &place("files"), plan, &mut outcome);
            "states from peers": peer_states::run(programs, &place("states"), &mut outcome);
            "disks": disks::run(programs, &place("disks"), &mut outcome);
            "live damage": live_damage::run(programs, &place("live"), plan, &mut outcome);
            "clock": clock::run(programs, &place("clock"), &mut outcome);
            "sockets": sockets::run(programs, &place("sockets"), plan, &mut outcome);
        }
    };
    let (one, other) = tokio::join!(one, other);
    let (mut outcome, other) = (one?, other?);
    outcome.passed += other.passed;
    outcome.findings.extend(other.findings);
    outcome.ran.extend(other.ran);
    if plan.only.is_none() {
        for (row, name) in rows::of_this_suite() {
            if !outcome.ran.contains(&(row, name.to_owned())) {
                outcome
                    .findings
                    .push(format!("row {row} names the check {name:?}: it did not run"));
            }
        }
    }
    Ok(outcome)
}

/// What is asked of two members that live through all of it.
async fn services_part(
    programs: &Programs,
    folder: &Path,
    plan: &Plan,
    outcome: &mut Outcome,
) -> Result<()> {
    let [mut etcd, mut engram] = pair(programs, folder, &[]).await?;
    let (theirs, ours) = (etcd.client_url().to_owned(), engram.client_url().to_owned());
    services::run(&theirs, &ours, outcome).await?;
    frames::run(&theirs, &mut engram, outcome).await?;
    http1::run(&engram, outcome).await?;
    floods::run(&mut engram, plan, outcome).await?;
    administration::run(&theirs, &ours, outcome).await?;
    guard::quiet_log(&engram)?;
    engram.kill()?;
    etcd.kill()
}

/// A fresh member of each kind, ready.
async fn pair(programs: &Programs, folder: &Path, flags: &[&str]) -> Result<[Member; 2]> {
    let (theirs, ours) = (folder.join("etcd"), folder.join("engram"));
    let (etcd, engram) = tokio::join!(
        fresh(programs, Kind::Etcd, &theirs, flags),
        fresh(programs, Kind::Engram, &ours, flags)
    );
    Ok([etcd?, engram?])
}

/// One fresh member, ready.
async fn fresh(programs: &Programs, kind: Kind, folder: &Path, flags: &[&str]) -> Result<Member> {
    std::fs::create_dir_all(folder)?;
    let mut flags = flags.to_vec();
    if kind == Kind::Etcd {
        flags.push("--unsafe-no-fsync");
    }
    let mut member = process::cluster(programs, kind, folder, 1, &flags)?.remove(0);
    member.start()?;
    member.ready().await?;
    Ok(member)
}
