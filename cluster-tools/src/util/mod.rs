//! `engram util`: works on files alone: a stopped member's, and database files of etcd's kind.
//!
//! Invariants: a member's directory is held while a tool is in it, and one in use is refused; only
//! `defrag` writes into a directory that is there already, and `snapshot restore` and `import` make
//! new ones.
//! Must not know: how to repair anything; damage is named, and the advice is to replace the member.

mod etcd_log;
mod file;
mod folder;
mod log;
mod print;
mod replay;
mod restore;
mod source;
mod state;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use store::StorageError;
use store::engine::Engine;

use self::folder::DataDir;
use self::print::Format;
use crate::ToolError;

/// Opens the engine in a member's state directory.
pub type OpenState = fn(&Path) -> Result<Arc<dyn Engine>, StorageError>;

/// How a member's state is opened; the binary knows which engine that is.
#[derive(Debug, Clone, Copy)]
pub struct States {
    /// For reading alone.
    pub read: OpenState,
    /// For writing; an empty one comes into being.
    pub write: OpenState,
}

/// Work on files: etcd's snapshots and data directories, a stopped member's directory.
#[derive(Debug, Parser)]
#[command(name = "engram util", disable_version_flag = true)]
struct Util {
    /// How answers are written.
    #[arg(short = 'w', long = "write-out", global = true, default_value = "simple")]
    write_out: Format,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Look at a snapshot, or restore it to a new data directory.
    #[command(subcommand)]
    Snapshot(SnapshotVerb),
    /// Make a data directory from a snapshot of etcd, or from a stopped etcd's data directory.
    Import(restore::ImportFrom),
    /// Print where a stopped member stands: revisions, applied entry, digest, log.
    Status(DataDir),
    /// Print the hash of the history of a database file or of a stopped member.
    Hashkv(HashKv),
    /// Check the log's checksums and chain, and the state's invariants.
    Verify(DataDir),
    /// Print what is stored.
    #[command(subcommand)]
    Dump(DumpVerb),
    /// Give the room of removed rows in a stopped member's state back to the file system.
    Defrag(DataDir),
    /// The same as `dump log`.
    #[command(hide = true)]
    LogDump(DataDir),
    /// The same as `dump state`.
    #[command(hide = true)]
    StateDump(DataDir),
}

#[derive(Debug, Subcommand)]
enum SnapshotVerb {
    /// Print a snapshot's hash, revision, keys and size.
    Status {
        /// The snapshot file.
        file: PathBuf,
    },
    /// Restore a snapshot to a new data directory.
    Restore(restore::Restore),
}

#[derive(Debug, Subcommand)]
enum DumpVerb {
    /// Every record of the Raft log.
    Log(DataDir),
    /// Revisions, applied index, digest, and every key at the latest revision.
    State(DataDir),
}

/// What is hashed.
#[derive(Debug, Args)]
struct HashKv {
    /// A database file, or a stopped member's data directory.
    from: PathBuf,
    /// The revision up to which is hashed; 0: the latest.
    #[arg(long, default_value_t = 0)]
    rev: i64,
}

/// The whole command tree, for completions and man pages.
#[must_use]
pub fn command() -> clap::Command {
    <Util as clap::CommandFactory>::command()
}

/// Parses and runs one `engram util` command; `arguments` start after the word `util`.
pub fn run(arguments: impl IntoIterator<Item = OsString>, states: States) -> ExitCode {
    let words = std::iter::once(OsString::from("engram util")).chain(arguments);
    match Util::try_parse_from(words) {
        Ok(util) => crate::finish(dispatch(util, states)),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
        }
    }
}

fn dispatch(util: Util, states: States) -> Result<(), ToolError> {
    let format = util.write_out;
    match util.verb {
        Verb::Snapshot(SnapshotVerb::Status { file }) => file::status(&file, format),
        Verb::Snapshot(SnapshotVerb::Restore(restore)) => restore.run(states),
        Verb::Import(import) => import.run(states),
        Verb::Hashkv(HashKv { from, rev }) => match from.is_dir() {
            true => state::hash_kv(states.read, &folder::hold(&from, None)?.state(), rev, format),
            false => file::hash_kv(states, &from, rev, format),
        },
        Verb::Status(at) => {
            let held = at.hold()?;
            state::summary_of(states.read, &held.state())?;
            log::verify(&held.log())
        }
        Verb::Dump(DumpVerb::Log(at)) | Verb::LogDump(at) => log::dump(&at.hold()?.log()),
        Verb::Dump(DumpVerb::State(at)) | Verb::StateDump(at) => {
            state::dump(states.read, &at.hold()?.state())
        }
        Verb::Verify(at) => {
            let held = at.hold()?;
            log::verify(&held.log())?;
            state::verify(states.read, &held.state())
        }
        Verb::Defrag(at) => state::defrag(states.write, &at.hold()?.state()),
    }
}

/// A line of a dump; a closed pipe ends the dump without a complaint of its own.
fn line(text: std::fmt::Arguments<'_>) -> Result<(), ToolError> {
    use std::io::Write;
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
