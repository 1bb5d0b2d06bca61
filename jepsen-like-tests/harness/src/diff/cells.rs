//! The cells of a run: members × authentication × what is spoken, each a conversation with fresh
//! clusters.
//!
//! Must not know: what is asked.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use super::{Outcome, Plan, run};
use crate::process::{self, Kind, Member, Programs};

/// Which RPCs a conversation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rpcs {
    /// Every one.
    All,
    /// Those on keys, leases and watches.
    Keys,
}

/// Whether authentication is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Auth {
    /// Never.
    Off,
    /// Soon, and most of the time.
    On,
}

/// What is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// gRPC.
    Grpc,
    /// The gateway's JSON, over HTTP and WebSockets.
    Json,
}

fn members(text: &str) -> Result<usize, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        other => Err(format!("1 or 3 members, not {other}")),
    }
}

/// Which cells are wanted; what is not said is every one.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Wanted {
    /// Members of each cluster: 1 or 3.
    #[arg(long, value_parser = members)]
    members: Option<usize>,
    /// Authentication.
    #[arg(long)]
    auth: Option<Auth>,
    /// What is spoken.
    #[arg(long)]
    wire: Option<Wire>,
    /// The RPCs; `keys` alone is one member, without authentication, over gRPC.
    #[arg(long, default_value = "all")]
    rpcs: Rpcs,
    /// Prints every turn with etcd's answer.
    #[arg(long)]
    trace: bool,
}

impl Wanted {
    /// The cells.
    #[must_use]
    pub fn plans(&self) -> Vec<Plan> {
        let keys_only = self.rpcs == Rpcs::Keys;
        let one_of = |all: [usize; 2]| if keys_only { all[..1].to_vec() } else { all.to_vec() };
        let mut plans = Vec::new();
        for json in one_of([0, 1]) {
            for members in one_of([1, 3]) {
                for auth in one_of([0, 1]) {
                    let (auth, json, trace) = (auth == 1, json == 1, self.trace);
                    plans.push(Plan { members, auth, json, keys_only, trace });
                }
            }
        }
        let auth = |plan: &Plan| if plan.auth { Auth::On } else { Auth::Off };
        let wire = |plan: &Plan| if plan.json { Wire::Json } else { Wire::Grpc };
        if keys_only {
            for plan in &mut plans {
                plan.members = self.members.unwrap_or(plan.members);
                plan.json = self.wire.map_or(plan.json, |wire| wire == Wire::Json);
            }
        }
        plans.retain(|plan| {
            self.members.is_none_or(|members| plan.members == members)
                && self.auth.is_none_or(|wanted| auth(plan) == wanted)
                && self.wire.is_none_or(|wanted| wire(plan) == wanted)
        });
        plans
    }
}

/// The arguments that ask for this cell alone.
fn arguments(plan: Plan) -> String {
    let auth = if plan.auth { "on" } else { "off" };
    let wire = if plan.json { "json" } else { "grpc" };
    let rpcs = if plan.keys_only { " --rpcs keys" } else { "" };
    format!("--members {} --auth {auth} --wire {wire}{rpcs}", plan.members)
}

/// One conversation with fresh clusters; true when they agree. Prints how it went.
///
/// *Errors*: only what keeps the cell from being run.
pub async fn converse(
    programs: &Programs,
    plan: Plan,
    (seed, requests): (u64, u64),
) -> Result<bool> {
    let folder = tempfile::tempdir()?;
    let etcd = start(programs, Kind::Etcd, &folder.path().join("etcd"), plan).await?;
    let engram = start(programs, Kind::Engram, &folder.path().join("engram"), plan).await?;
    let urls = |members: &'_ [Member]| -> Vec<String> {
        members.iter().map(|member| member.client_url().to_owned()).collect()
    };
    let (theirs, ours) = (urls(&etcd), urls(&engram));
    let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
    let ours: Vec<&str> = ours.iter().map(String::as_str).collect();
    let cell = arguments(plan);
    let again =
        format!("engram-harness diff {cell} --seed {seed} --conversations 1 --requests {requests}");
    let outcome = match run(&theirs, &ours, plan, (seed, requests)).await {
        Ok(outcome) => outcome,
        Err(error) => {
            println!("diff {cell}, seed {seed}: {error:#}\n  again:  {again}");
            tails(&engram);
            return Ok(false);
        }
    };
    let Outcome { requests, rpcs, watch_lines, hashes, difference } = outcome;
    let agree = difference.is_none();
    let all = super::call::rpcs();
    let asked = all.iter().filter(|rpc| rpcs.contains(rpc.as_str())).count();
    println!(
        "diff {cell}, seed {seed}: {requests} requests of {asked} of {} RPCs, {watch_lines} watch \
         lines, {hashes} hashes compared",
        all.len()
    );
    if let Some(difference) = difference {
        println!("  step {}: {}", difference.step, difference.request);
        println!("  etcd:   {}\n  engram: {}", difference.etcd, difference.engram);
        println!("  again:  {again}");
        tails(&engram);
    }
    Ok(agree)
}

fn tails(engram: &[Member]) {
    for (number, member) in engram.iter().enumerate() {
        println!("  the log of engram's member {number}: {}", member.tail());
    }
}

async fn start(programs: &Programs, kind: Kind, folder: &Path, plan: Plan) -> Result<Vec<Member>> {
    std::fs::create_dir_all(folder)?;
    let mut flags = vec!["--bcrypt-cost=4"];
    if kind == Kind::Etcd {
        flags.push("--unsafe-no-fsync");
    }
    if plan.members > 1 {
        // A busy machine must not elect a leader that nobody asked for.
        flags.extend(["--heartbeat-interval=300", "--election-timeout=3000"]);
    }
    let mut cluster = process::cluster(programs, kind, folder, plan.members, &flags)?;
    for member in &mut cluster {
        member.start()?;
    }
    for member in &mut cluster {
        member.ready().await?;
    }
    Ok(cluster)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_arguments_is_every_cell_and_keys_alone_are_one() {
        let mut wanted =
            Wanted { members: None, auth: None, wire: None, rpcs: Rpcs::All, trace: false };
        assert_eq!(wanted.plans().len(), 8);
        wanted.members = Some(3);
        wanted.auth = Some(Auth::On);
        assert_eq!(wanted.plans().len(), 2);
        let wanted =
            Wanted { members: Some(3), auth: None, wire: None, rpcs: Rpcs::Keys, trace: false };
        let keys = Plan { members: 3, auth: false, json: false, keys_only: true, trace: false };
        assert_eq!(wanted.plans(), [keys]);
    }
}
