//! `engram server`: one member, told what to do by etcd's flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _};
use std::process::ExitCode;

use server::config::{self, ConfigError, FILE_BYTES_MAX, Resolved, Treatment};

use crate::{file_limit, help, logging, wiring};

/// By which name the program was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CalledAs {
    /// `engram server`
    Engram,
    /// `etcd`
    Etcd,
}

/// The exit code of words that cannot be read, as in etcd.
const UNREADABLE: u8 = 2;
/// The exit code of what can be read and not be done, as in etcd.
const UNUSABLE: u8 = 1;

/// Set by `engram dev` for its children: they end when their standard input does.
pub(crate) const PARENT_VARIABLE: &str = "ENGRAM_PARENT";

/// Runs a member until it is told to stop.
pub(crate) fn run(words: impl Iterator<Item = OsString>, called: CalledAs) -> ExitCode {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    for word in &words {
        match word.trim_start_matches('-') {
            "help" | "h" if word.starts_with('-') => return help::say(&flags_help()),
            "version" if word.starts_with('-') => return help::print_etcd_version(),
            _ => {}
        }
    }
    if let Some(mode @ ("gateway" | "grpc-proxy" | "proxy")) = words.first().map(String::as_str) {
        help::complain(&format!(
            "`{mode}` is refused: Engram is a member of a store and no proxy before one; point \
             clients at the members"
        ));
        return ExitCode::from(UNREADABLE);
    }
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match config::read_with_file(&words, &environment, &load) {
        Ok(resolved) => start(resolved, environment.contains_key(PARENT_VARIABLE)),
        Err(error) => refuse(&error, called),
    }
}

/// Says why a configuration is not taken. Compat: etcd's line and codes.
fn refuse(error: &ConfigError, called: CalledAs) -> ExitCode {
    if error.unusable && called == CalledAs::Etcd {
        let outputs = ["default".to_owned()];
        // There is no configuration that could say another level or output.
        drop(logging::start("info", config::LogFormat::Json, &outputs));
        tracing::warn!(error = error.text, "failed to verify flags");
        return ExitCode::from(UNUSABLE);
    }
    help::complain(&error.text);
    if io::stderr().is_terminal() {
        help::complain("`engram server --help` lists the flags");
    }
    ExitCode::from(if error.unusable { UNUSABLE } else { UNREADABLE })
}

/// The text of a configuration file. *Errors*: Go's texts.
fn load(path: &str) -> Result<String, ConfigError> {
    let unusable = |why: &str| ConfigError { text: format!("open {path}: {why}"), unusable: true };
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unusable("no such file or directory"),
        io::ErrorKind::PermissionDenied => unusable("permission denied"),
        _ => unusable(&error.to_string()),
    })?;
    let mut bytes = Vec::new();
    let read = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| unusable(&error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(unusable("a configuration file has at most 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| unusable("it is not UTF-8"))
}

fn start(resolved: Resolved, has_parent: bool) -> ExitCode {
    let Resolved { config, warnings, config_file } = resolved;
    let (outputs, rotation) = (&config.log_outputs, config.log_rotation);
    let logging = logging::start_rotated(&config.log_level, config.log_format, outputs, rotation);
    if let Err(error) = logging {
        help::complain(&format!("{error:#}"));
        return ExitCode::FAILURE;
    }
    if let Some(path) = config_file {
        tracing::info!(
            path,
            "loaded server configuration, other configuration command line flags and environment \
             variables will be ignored if provided"
        );
    }
    file_limit::raise();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let life = wiring::Life { has_parent, beside: None };
    match life.run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the member stopped");
            help::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn flags_help() -> String {
    let mut text = String::from(
        "Usage: engram server [flags]\n\n\
         Runs one member. Each flag is also read from its ETCD_* variable; a flag wins.\n\n",
    );
    for flag in config::FLAGS {
        if let Treatment::Honoured(what) = flag.treatment {
            text.push_str(&format!("  --{} '{}'\n        {what}\n", flag.name, flag.default));
        }
    }
    text.push_str("\nOther flags of etcd are ignored with a warning or refused with a reason:\n");
    text.push_str("docs/compatibility/flags.md lists them all.\n");
    text
}
