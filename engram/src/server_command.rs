//! `engram server`: one member, told what to do by etcd's flags.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use server::config::{self, Resolved, Treatment};

use crate::{help, logging, wiring};

/// By which name the program was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CalledAs {
    /// `engram server`
    Engram,
    /// `etcd`
    Etcd,
}

/// The exit code of a wrong flag, as in etcd.
const WRONG_FLAG: u8 = 2;

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
    if called == CalledAs::Etcd && matches!(words.first().map(String::as_str), Some("gateway")) {
        help::complain("`etcd gateway` is not part of Engram");
        return ExitCode::from(WRONG_FLAG);
    }
    let environment: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match config::read(&words, &environment) {
        Ok(resolved) => start(resolved, environment.contains_key(PARENT_VARIABLE)),
        Err(error) => {
            help::complain(&error.0);
            if std::io::stderr().is_terminal() {
                help::complain("`engram server --help` lists the flags");
            }
            ExitCode::from(WRONG_FLAG)
        }
    }
}

fn start(resolved: Resolved, has_parent: bool) -> ExitCode {
    let Resolved { config, warnings } = resolved;
    let logging = logging::start(&config.log_level, config.log_format, &config.log_outputs);
    if let Err(error) = logging {
        help::complain(&format!("{error:#}"));
        return ExitCode::FAILURE;
    }
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
