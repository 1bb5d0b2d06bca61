//! `engram dev`: a store on this machine, ready in a second; one member in this process, or a
//! quorum of child processes.
//!
//! Invariants: nothing but the ready text goes to a terminal, the log goes to a file; everything
//! listens on loopback only. Must not know: how a member works.

mod children;
mod options;
mod ready_text;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Parser as _;
use server::config::LogFormat;

use crate::{help, logging, wiring};
use options::Options;

/// Runs until Ctrl-C.
pub(crate) fn run(words: impl Iterator<Item = OsString>) -> ExitCode {
    let name = OsString::from("engram dev");
    let options = match Options::try_parse_from(std::iter::once(name).chain(words)) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let ended = match options.nodes {
        1 => alone(&options),
        _ => children::run(&options),
    };
    let removed = options.remove_if_ephemeral();
    match ended.and(removed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            help::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn alone(options: &Options) -> Result<()> {
    let node = options.nodes().remove(0);
    options.make_data_dir()?;
    logging::start("info", LogFormat::Json, &[node.log.display().to_string()])?;
    let text = options.clone();
    let when_ready: wiring::WhenReady = Box::new(move |member, took| {
        help::say(&ready_text::one_member(&text, member, took));
    });
    let life = wiring::Life { has_parent: false, when_ready: Some(when_ready) };
    let ended = life.run(node.config()?);
    ended.map_err(|error| anyhow!("{error:#}; the log is {}", node.log.display()))
}
