//! The workshop: checks and chores behind the Makefile.
//!
//! It knows the shape of the repository and the commands of its suites. It must not know what a
//! suite checks: a suite is a command that ends with a line `suite <name>: <p> passed, <f> failed`.
#![expect(clippy::print_stdout, reason = "a program for terminals: what it says, it prints")]

mod documents;
mod facts;
mod stages;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <command>

  tidy            arrows, owners, limits, forbidden calls, documents
  test            every test there is, the sum in the last line
  verify          formatting, lints, docs, licences, tidy and cargo test; writes nothing
  fix             formatting, the lints that mend themselves, generated documents
  generate        write the generated parts of the documents anew
  facts           write the facts of Kubernetes anew; needs Go
  wrap [FOLDER]   wrap the comments that are too wide
  readme          run the command blocks of the documents against bin/engram
  sim [SEED]      the simulated cluster
  jepsen [ROUNDS] crash rounds against real members
  bench           Engram beside the real etcd, one table
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest: &[String] = arguments.get(1..).unwrap_or_default();
    let root = workspace_root();
    let outcome = match arguments.first().map(String::as_str) {
        Some("tidy") => tidy::run(&root),
        Some("test") => stages::test(&root),
        Some("verify") => stages::verify(&root),
        Some("fix") => stages::fix(&root),
        Some("generate") => stages::generate(&root),
        Some("facts") => facts::run(&root),
        Some("wrap") => stages::wrap(&root, rest),
        Some("readme") => documents::commands::run(&root),
        Some("sim") => stages::sim(&root, rest),
        Some("jepsen") => stages::jepsen(&root, rest),
        Some("bench") => stages::bench(&root, rest),
        _ => {
            print!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace's `Cargo.toml`: of the clone that cargo runs us in, which need not
/// be the one that compiled us when several share a target folder.
fn workspace_root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.parent().unwrap_or(&here).to_path_buf()
}
