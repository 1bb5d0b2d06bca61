//! One run: a seed's cluster from its first start to the verdict.
//!
//! Invariant: a run has a thread and a runtime of its own, paused and seeded, so that it depends on
//! its settings alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, RngSeed};

use crate::canary::Canary;
use crate::clients::Load;
use crate::cluster::Cluster;
use crate::faults::Nemesis;
use crate::holders::Holders;
use crate::panics;
use crate::plan::Plan;
use crate::trace::Trace;
use crate::verdict;
use crate::watchers::Watchers;
use crate::world::World;

/// What a run is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Everything follows from it.
    pub seed: u64,
    /// A bug to plant.
    pub canary: Option<Canary>,
    /// Whether the trace's lines are wanted, and not their hash alone.
    pub keep_trace: bool,
}

/// What a run came to.
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// What was found wrong, in order; empty is a pass.
    pub findings: Vec<String>,
    /// What happened.
    pub trace: Trace,
    /// Operations of clients that went into the history.
    pub operations: usize,
    /// Those of them that were answered.
    pub answered: usize,
    /// Entries of the log that were applied.
    pub entries: usize,
    /// Revisions made.
    pub revisions: i64,
    /// Terms with a leader.
    pub terms: usize,
    /// Leases granted, and those of them that time ended.
    pub leases: (usize, usize),
    /// Its sizes, weather and faults, in words.
    pub plan: String,
}

/// Where two runs differ, if they do: two runs of the same settings must not.
#[must_use]
pub fn first_difference(one: &Outcome, other: &Outcome) -> Option<String> {
    if one.trace.hash() == other.trace.hash() && one.trace.count() == other.trace.count() {
        return None;
    }
    let (first, second) = (one.trace.lines(), other.trace.lines());
    let place = first.iter().zip(&second).position(|(one, other)| one != other);
    let place = place.unwrap_or_else(|| first.len().min(second.len()));
    let line = |lines: &[String]| lines.get(place).cloned().unwrap_or_else(|| "nothing".to_owned());
    Some(format!(
        "two runs of seed {} differ at line {place}:\n    {}\n    {}",
        one.seed,
        line(&first),
        line(&second)
    ))
}

/// Virtual time after which a run hangs.
const HANGS_AFTER: Duration = Duration::from_secs(600);

/// Runs a seed. Takes the calling thread until it is done.
#[must_use]
pub fn run(settings: Settings) -> Outcome {
    let trace = Trace::new(settings.keep_trace);
    let world = Arc::new(World::new(settings.seed, settings.canary, trace));
    let plan = Plan::draw(&mut world.dice("plan"));
    panics::listen();
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .rng_seed(RngSeed::from_bytes(&settings.seed.to_le_bytes()))
        .build()
        .expect("a runtime without sockets needs nothing of the system");
    let load = runtime.block_on(live(&world, &plan));
    drop(runtime);
    for panic in panics::take() {
        world.findings.add(format_args!("{panic}"));
    }
    let operations = load.map(|load| load.operations()).unwrap_or_default();
    let ledger = world.ledger.lock();
    Outcome {
        seed: settings.seed,
        findings: world.findings.all(),
        trace: world.trace.clone(),
        answered: operations.iter().filter(|operation| operation.returned_ns.is_some()).count(),
        operations: operations.len(),
        entries: ledger.entries(),
        revisions: ledger.newest(),
        terms: ledger.terms(),
        leases: world.leases.lock().counts(),
        plan: format!("{plan:?}"),
    }
}

/// The whole life of a cluster, or as much of it as there was until the first finding.
async fn live(world: &Arc<World>, plan: &Plan) -> Option<Arc<Load>> {
    world.note(format_args!("seed {} {plan:?}", world.seed));
    let cluster = Arc::new(Cluster::new(world, plan));
    let load = Load::new(&cluster);
    let phases = phases(&cluster, plan, &load);
    tokio::select! {
        biased;
        () = world.findings.any() => {}
        ended = tokio::time::timeout(HANGS_AFTER, phases) => {
            if ended.is_err() {
                world.found(format_args!("the run hangs: {:?}", verdict::describe(&cluster)));
            }
        }
    }
    Some(load)
}

async fn phases(cluster: &Arc<Cluster>, plan: &Plan, load: &Arc<Load>) {
    let members: Vec<usize> = (0..cluster.size()).collect();
    cluster.start(&members).await;
    let watchers = Watchers::start(cluster);
    let clients = tokio::spawn(Arc::clone(load).run(plan.clone()));
    let holders = Holders::start(cluster, plan);
    let mut nemesis = Nemesis::new(cluster, plan);
    nemesis.rage().await;
    nemesis.heal().await;
    load.stop();
    holders.stop().await;
    watchers.hurry();
    // A panic of a client has been heard as such.
    drop(clients.await);
    verdict::settle(cluster, &watchers).await;
    if !cluster.world.findings.is_any() {
        verdict::judge(cluster, &load.operations(), &load.refused());
    }
}
