//! The operators' hands: `ctl` talks to a running cluster over its public API, `bench` loads one,
//! and `util` reads a stopped member's files.
//!
//! Invariants: `ctl` and `bench` speak nothing but the published etcd API, so they work against the
//! real etcd as well; `util` opens files for reading only. Results go to standard output,
//! everything else to standard error, and the exit code tells them apart (see
//! [`ToolError::exit_code`]).
//!
//! Must not know: how the server is built inside.

pub mod bench;
pub mod ctl;
mod endpoints;
mod error;
pub mod util;

pub use endpoints::{connect, connect_each};
pub use error::ToolError;

use std::process::ExitCode;

/// Prints the error a verb ended with and turns it into the exit code.
fn finish(result: Result<(), ToolError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            if let Some(advice) = error.advice() {
                eprintln!("{advice}");
            }
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs one verb to its end on a small runtime of its own.
fn block_on<F>(worker_threads: usize, verb: F) -> ExitCode
where
    F: Future<Output = Result<(), ToolError>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker_threads)
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => finish(runtime.block_on(verb)),
        Err(error) => finish(Err(ToolError::Io(error))),
    }
}
