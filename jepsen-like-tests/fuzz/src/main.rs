//! The command line: every target for a while, or one input again.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use engram_fuzz::{TARGETS, drive, target};
use programs::finish;

/// Gives whatever reads bytes from outside bytes that nobody meant.
#[derive(Debug, Parser)]
#[command(name = "engram-fuzz")]
struct Arguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// What the inputs are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this target.
    #[arg(long)]
    only: Option<String>,
    /// An input that broke the target, once more.
    #[arg(long, requires = "only")]
    input: Option<PathBuf>,
    /// Writes each target's sound inputs into a folder of its own here, and ends.
    #[arg(long)]
    seeds: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(folder) = &arguments.seeds {
        return Ok(engram_fuzz::write_seeds(folder)?);
    }
    if let Some(path) = &arguments.input {
        let name = arguments.only.as_deref().unwrap_or_default();
        let target = target(name).with_context(|| format!("no target is called {name}"))?;
        (target.read)(&std::fs::read(path)?);
        return Ok(());
    }
    let (mut passed, mut failed) = (0, 0);
    let only = arguments.only.as_deref();
    for target in TARGETS.iter().filter(|target| only.is_none_or(|only| only == target.name)) {
        match drive(target, arguments.seed, Duration::from_secs_f64(arguments.seconds)) {
            Ok(count) => {
                println!("{}: {count} inputs", target.name);
                passed += 1;
            }
            Err(broken) => {
                let path = format!("{}.input", target.name);
                std::fs::write(&path, &broken.input)?;
                println!("{}: {}; the input is kept in {path}", target.name, broken.said);
                println!("  again:  engram-fuzz --only {} --input {path}", target.name);
                failed += 1;
            }
        }
    }
    finish("fuzz", passed, failed, &format!("engram-fuzz --seed {}", arguments.seed))
}
