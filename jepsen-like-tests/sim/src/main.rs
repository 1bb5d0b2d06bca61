//! The command line of the simulation: runs seeds, says which failed, and how to repeat them.
//!
//! It knows threads and the terminal; what a run is, is the library's.
#![expect(clippy::print_stdout, reason = "a program for terminals: what it says, it prints")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use clap::Parser;
use engram_sim::{Canary, Outcome, Settings, run};

/// Breaks a whole cluster from inside one seeded process.
#[derive(Debug, Parser)]
#[command(name = "engram-sim", version)]
struct Arguments {
    /// The first seed; with it and without --seeds, only this one is run.
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds to run, one after the other from the first.
    #[arg(long)]
    seeds: Option<u64>,
    /// Print everything that happened.
    #[arg(long)]
    trace: bool,
    /// Run the first so many seeds (without a number: all) twice, and compare what happened.
    #[arg(long, num_args = 0..=1, default_value_t = 0, default_missing_value = ALL)]
    twice: u64,
    /// Say something about each seed, not only about those that fail.
    #[arg(long)]
    verbose: bool,
    /// Plant a bug: the run should fail.
    #[arg(long)]
    canary: Option<Canary>,
    /// Seeds run at the same time.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

/// More seeds than there are.
const ALL: &str = "18446744073709551615";

/// Seeds of a run without arguments.
const SEEDS: u64 = 50;

impl Arguments {
    fn seeds(&self) -> std::ops::Range<u64> {
        let first = self.seed.unwrap_or(1);
        let count = self.seeds.unwrap_or(if self.seed.is_some() { 1 } else { SEEDS });
        first..first.saturating_add(count)
    }

    fn replay(&self, seed: u64) -> String {
        let canary = self.canary.map_or_else(String::new, |canary| format!(" --canary {canary}"));
        let sim = "cargo run -p engram-sim --";
        format!("{sim} --seed {seed}{canary} --trace")
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seeds = arguments.seeds();
    let next = AtomicU64::new(seeds.start);
    let total = seeds.end - seeds.start;
    let (mut passed, mut failed) = (0, 0);
    std::thread::scope(|scope| {
        let (sender, outcomes) = mpsc::channel();
        for _ in 0..arguments.threads.clamp(1, 64) {
            let (sender, next, arguments, end) = (sender.clone(), &next, &arguments, seeds.end);
            scope.spawn(move || {
                while let Some(seed) = take(next, end) {
                    let ended = sender.send(one(arguments, seed));
                    ended.expect("the printing thread waits for all of them");
                }
            });
        }
        drop(sender);
        for outcome in outcomes {
            match outcome.findings.is_empty() {
                true => passed += 1,
                false => failed += 1,
            }
            print(&arguments, &outcome);
            let done = passed + failed;
            if done % 10 == 0 && done < total {
                println!("{done} of {total} seeds, {failed} failed");
            }
        }
    });
    println!("suite sim: {passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn take(next: &AtomicU64, end: u64) -> Option<u64> {
    let seed = next.fetch_add(1, Ordering::Relaxed);
    (seed < end).then_some(seed)
}

fn one(arguments: &Arguments, seed: u64) -> Outcome {
    let twice = seed - arguments.seeds().start < arguments.twice;
    let keep_trace = arguments.trace || twice;
    let settings = Settings { seed, canary: arguments.canary, keep_trace };
    let mut outcome = run(settings);
    if twice && let Some(difference) = engram_sim::first_difference(&outcome, &run(settings)) {
        outcome.findings.push(difference);
    }
    outcome
}

fn print(arguments: &Arguments, outcome: &Outcome) {
    if arguments.trace {
        for line in outcome.trace.lines() {
            println!("{line}");
        }
    }
    let seed = outcome.seed;
    if arguments.verbose || !outcome.findings.is_empty() {
        let Outcome { operations, answered, entries, revisions, terms, leases, .. } = outcome;
        let (hash, count) = (outcome.trace.hash(), outcome.trace.count());
        println!(
            "seed {seed}: {answered} of {operations} operations answered, {entries} entries, \
             {revisions} revisions, {terms} terms, {} leases of which {} expired, \
             trace {hash:016x} of {count} lines",
            leases.0, leases.1
        );
    }
    for finding in &outcome.findings {
        println!("  {finding}");
    }
    if !outcome.findings.is_empty() {
        println!("  plan: {}\n  again: {}", outcome.plan, arguments.replay(seed));
    }
}
