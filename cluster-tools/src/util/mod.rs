//! `engram util`: reads a stopped member's files, never writes them.
//!
//! Must not know: how to repair anything; damage is named, and the advice is to replace the member.

mod log;
mod state;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use store::StorageError;
use store::engine::Engine;

use crate::ToolError;

/// Opens the state in a member's state directory for reading alone; the binary knows which engine
/// that is.
pub type OpenState = fn(&Path) -> Result<Arc<dyn Engine>, StorageError>;

/// Look into a stopped member's data directory: log dump, state dump, verify.
#[derive(Debug, Parser)]
#[command(name = "engram util", disable_version_flag = true)]
struct Util {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print every record of the Raft log.
    LogDump(DataDir),
    /// Print the state: revisions, applied index, digest, and every key at the latest revision.
    StateDump(DataDir),
    /// Check the log's checksums and chain, and the state's invariants.
    Verify(DataDir),
}

/// Where a member keeps its files.
#[derive(Debug, Args)]
struct DataDir {
    /// The member's data directory.
    #[arg(long, env = "ETCD_DATA_DIR")]
    data_dir: PathBuf,
    /// The Raft log's directory, if it is not inside the data directory.
    #[arg(long, env = "ETCD_WAL_DIR")]
    wal_dir: Option<PathBuf>,
}

/// Parses and runs one `engram util` command; `arguments` start after the word `util`.
pub fn run(arguments: impl IntoIterator<Item = OsString>, open_state: OpenState) -> ExitCode {
    let words = std::iter::once(OsString::from("engram util")).chain(arguments);
    match Util::try_parse_from(words) {
        Ok(util) => crate::finish(dispatch(util.verb, open_state)),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
        }
    }
}

fn dispatch(verb: Verb, open: OpenState) -> Result<(), ToolError> {
    match verb {
        Verb::LogDump(at) => log::dump(&at.log()),
        Verb::StateDump(at) => state::dump(open, &at.state()),
        Verb::Verify(at) => {
            log::verify(&at.log())?;
            state::verify(open, &at.state())
        }
    }
}

impl DataDir {
    /// Compat: `--wal-dir` names the log's directory itself.
    fn log(&self) -> PathBuf {
        self.wal_dir.clone().unwrap_or_else(|| self.data_dir.join("member/raft"))
    }

    fn state(&self) -> PathBuf {
        self.data_dir.join("member/state")
    }
}

/// A line of a dump; a closed pipe ends the dump without a complaint of its own.
fn line(text: std::fmt::Arguments<'_>) -> Result<(), ToolError> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
