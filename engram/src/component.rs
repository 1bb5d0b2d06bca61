//! What the Kubernetes components of this binary have in common: how they log, and the threads they
//! run on.
//!
//! Must not know: what a component does.

use std::time::Duration;

use anyhow::{Context as _, Result};
use server::config::LogFormat;

use crate::component_flags::Given;
use crate::logging;

const WORKERS: usize = 2;
/// How long what still runs in the blocking pool may hold the end up.
const LAST_WORK: Duration = Duration::from_millis(100);

/// A component that is about to run.
#[derive(Debug)]
pub(crate) struct Component {
    /// The name of its threads.
    name: &'static str,
    format: LogFormat,
    level: &'static str,
    /// What its user is told of its flags.
    pub(crate) warnings: Vec<String>,
}

impl Component {
    /// Reads what all components are told. *Errors*: what to tell the user.
    pub(crate) fn read(name: &'static str, given: Given) -> Result<Self, String> {
        let format = match given.last("logging-format") {
            Some("json") => LogFormat::Json,
            None | Some("text") => LogFormat::Console,
            Some(other) => return Err(format!("--logging-format is text or json, not {other:?}")),
        };
        let level = match given.parsed::<u8>("v")? {
            Some(4..) => "debug",
            _ => "info",
        };
        Ok(Self { name, format, level, warnings: given.warnings })
    }

    /// Runs the work to its end.
    pub(crate) fn live(self, work: impl Future<Output = Result<()>>) -> Result<()> {
        logging::start(self.level, self.format, &["stderr".to_owned()])?;
        for warning in &self.warnings {
            tracing::warn!("{warning}");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name(self.name)
            .enable_all()
            .build()
            .context("cannot start threads")?;
        let ended = runtime.block_on(work);
        runtime.shutdown_timeout(LAST_WORK);
        ended
    }
}
