//! `engram bench`: a closed-loop load on any server that speaks the etcd API, one workload a run.
//!
//! Invariants: every client waits for its answer before it sends the next request; an error is
//! counted and never as an operation; the same seed asks for the same keys. It drives the real etcd
//! and Engram alike, so that both sides of a comparison pay for the same client.
//!
//! Must not know: which server it talks to.

mod cpu;
mod load;
mod report;
mod workload;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

pub use report::Report;

use crate::ToolError;

/// Load a server and report operations per second, latencies and CPU per operation.
#[derive(Debug, Parser)]
#[command(name = "engram bench", disable_version_flag = true)]
struct Bench {
    #[command(flatten)]
    load: Load,
    #[command(subcommand)]
    workload: Workload,
}

/// How hard and how long.
#[derive(Debug, Clone, Args)]
pub(crate) struct Load {
    /// Client URLs, separated by commas; connections are spread over them.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:2379"
    )]
    pub(crate) endpoints: Vec<String>,
    /// Requests in flight at a time.
    #[arg(long, global = true, default_value_t = 64)]
    pub(crate) clients: usize,
    /// TCP connections that the clients share.
    #[arg(long, global = true, default_value_t = 8)]
    pub(crate) connections: usize,
    /// Length of the measured window in seconds.
    #[arg(long, global = true, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Length of the unmeasured start in seconds.
    #[arg(long, global = true, default_value_t = 0.5)]
    pub(crate) warmup_seconds: f64,
    /// Length of each key in bytes.
    #[arg(long, global = true, default_value_t = 48)]
    pub(crate) key_bytes: usize,
    /// Length of each value in bytes.
    #[arg(long, global = true, default_value_t = 256)]
    pub(crate) value_bytes: usize,
    /// Number of different keys.
    #[arg(long, global = true, default_value_t = 100_000)]
    pub(crate) keys: u64,
    /// Process ids of the servers: their CPU time is read from /proc and shown per operation.
    #[arg(long, global = true, value_delimiter = ',')]
    pub(crate) server_pids: Vec<u32>,
    /// One JSON line instead of a table.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What each client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub(crate) enum Workload {
    /// Write the keys once, in transactions of 100; later reads find them.
    Fill,
    /// Overwrite keys.
    Put,
    /// Update keys as kube-apiserver does: compare the mod revision, put, else read.
    Cas,
    /// Read one key, linearizable.
    Get,
    /// Read one key from the member asked, as it is there.
    GetSerializable,
    /// Read 500 keys of the whole range from a changing start.
    Page,
}

impl Load {
    pub(crate) fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.max(0.0))
    }

    pub(crate) fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.warmup_seconds.max(0.0))
    }

    fn check(&self) -> Result<(), ToolError> {
        let fits = self.clients > 0 && self.connections > 0 && self.keys > 0;
        if !fits || !(0.0..=86_400.0).contains(&self.seconds) {
            return Err(ToolError::Usage(
                "--clients, --connections and --keys must be at least 1, --seconds 0 to 86400"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}

/// The whole command tree, for completions and man pages.
#[must_use]
pub fn command() -> clap::Command {
    <Bench as clap::CommandFactory>::command()
}

/// Parses and runs one `engram bench` command; `arguments` start after the word `bench`.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("engram bench")).chain(arguments);
    match Bench::try_parse_from(words) {
        Ok(bench) => crate::block_on(2, measure(bench)),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
        }
    }
}

async fn measure(bench: Bench) -> Result<(), ToolError> {
    bench.load.check()?;
    let report = load::run(&bench.load, bench.workload).await?;
    report.print(bench.load.json)?;
    if report.operations == 0 {
        return Err(ToolError::Unhealthy("no operation succeeded".to_owned()));
    }
    Ok(())
}
