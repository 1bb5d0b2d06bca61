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
pub mod catalogue;
pub mod ctl;
mod endpoints;
mod error;
pub mod manual;
pub mod util;
mod wire;

pub use endpoints::connect;
pub use error::ToolError;

use std::io::Write as _;
use std::process::ExitCode;

/// Prints the error a verb ended with and turns it into the exit code.
fn finish(result: Result<(), ToolError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(ToolError::Verdict(code)) => ExitCode::from(code),
        // Whoever read the output went away, as `head` does: there is nobody to tell.
        Err(ToolError::Io(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            let entry = error.entry();
            let text = format!(
                "Error: {error}\n  {}  {}\n  cause  {}\n  next   {}\n",
                entry.id, entry.title, entry.cause, entry.next
            );
            // Nobody is left to tell when standard error is gone.
            drop(std::io::stderr().lock().write_all(text.as_bytes()));
            ExitCode::from(entry.exit_code)
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
