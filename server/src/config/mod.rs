//! What one member is told at its start: etcd's flags, read into one checked value.
//!
//! The flow is one way: `parse` turns arguments and environment into `Given` values (which flag
//! was given, where), `resolve` turns those into a `ServerConfig` or a `ConfigError`. Everything
//! here is a pure function of its inputs: the process environment and the arguments are read by
//! the binary. Must not know: sockets, files, the rooms below.

mod cluster;
mod discovery;
mod file;
mod flags;
mod gates;
mod listeners;
mod logs;
mod parse;
mod resolve;
mod shown;
mod spans;
mod text;
mod tls;
mod urls;
mod values;

pub use cluster::{ClusterMember, InitialCluster};
pub use discovery::{DiscoverySettings, Secret};
pub use file::FILE_BYTES_MAX;
pub use flags::{FLAGS, Flag, Kind, Treatment, flags_page};
pub use parse::{Given, Source, parse};
pub use resolve::{
    AutoCompaction, ClusterState, LogFormat, LogRotation, MetricsDetail, Resolved, ServerConfig,
    SocketOptions, resolve,
};
pub use spans::{SAMPLES_OF, SpanSettings};
pub use text::{go_duration, nearest};
pub use tls::{AllowedNames, CIPHER_SUITES, TlsFiles, TlsSettings, TlsVersion};
pub use urls::{Endpoint, Scheme};

use std::collections::BTreeMap;

/// Why a configuration was refused. The text is for the operator and names the flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ConfigError {
    /// For the operator.
    pub text: String,
    /// The words could be read, but what they say cannot be done. etcd ends with code 1 then, and
    /// with code 2 when it cannot read them.
    pub unusable: bool,
}

impl ConfigError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        ConfigError { text: text.into(), unusable: false }
    }

    /// Of a value that could be read.
    pub(crate) fn unusable(text: impl Into<String>) -> Self {
        ConfigError { text: text.into(), unusable: true }
    }
}

/// Reads arguments (without the program's name) and environment into a checked configuration.
///
/// *Errors*: the first problem found; nothing has been touched. A `--config-file` is refused.
/// *Source*: flag > environment > default; etcd refuses a key that is given in both, we warn.
pub fn read(
    args: &[String],
    environment: &BTreeMap<String, String>,
) -> Result<Resolved, ConfigError> {
    read_with_file(args, environment, &|path| {
        let text = format!("open {path}: a configuration file is not expected here");
        Err(ConfigError::unusable(text))
    })
}

/// As [`read`]; `load` returns the text of the file that `--config-file` names. That file stands
/// alone, as in etcd: flags and variables given beside it do not count.
pub fn read_with_file(
    args: &[String],
    environment: &BTreeMap<String, String>,
    load: &dyn Fn(&str) -> Result<String, ConfigError>,
) -> Result<Resolved, ConfigError> {
    let given = parse(args, environment)?;
    let Some(path) = parse::config_file(&given, environment) else { return resolve(given) };
    let mut resolved = resolve(file::read(&load(path)?)?)?;
    resolved.config_file = Some(path.to_owned());
    Ok(resolved)
}

#[cfg(test)]
mod tests;
