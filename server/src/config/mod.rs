//! What one member is told at its start: etcd's flags, read into one checked value.
//!
//! The flow is one way: `parse` turns arguments and environment into `Given` values (which flag
//! was given, where), `resolve` turns those into a `ServerConfig` or a `ConfigError`. Everything
//! here is a pure function of its inputs: the process environment and the arguments are read by
//! the binary. Must not know: sockets, files, the rooms below.

mod cluster;
mod flags;
mod parse;
mod resolve;
mod text;
mod urls;

pub use cluster::{ClusterMember, InitialCluster};
pub use flags::{FLAGS, Flag, Kind, Treatment, flags_page};
pub use parse::{Given, Source, parse};
pub use resolve::{
    AutoCompaction, ClusterState, LogFormat, MetricsDetail, Resolved, ServerConfig, resolve,
};
pub use text::{go_duration, nearest};
pub use urls::Endpoint;

use std::collections::BTreeMap;

/// Why a configuration was refused. The text is for the operator and names the flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub String);

impl ConfigError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        ConfigError(text.into())
    }
}

/// Reads arguments (without the program's name) and environment into a checked configuration.
///
/// *Errors*: the first problem found; nothing has been touched.
/// *Source*: flag > environment > default; etcd refuses a key that is given in both, we warn.
pub fn read(
    args: &[String],
    environment: &BTreeMap<String, String>,
) -> Result<Resolved, ConfigError> {
    resolve(parse(args, environment)?)
}

#[cfg(test)]
mod tests;
