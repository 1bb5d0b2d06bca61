//! `engram dev`: a store on this machine, ready in a second; one member in this process, or a
//! quorum of child processes.
//!
//! Invariants: nothing but the ready text goes to a terminal, the log goes to a file; everything
//! listens on loopback only. Must not know: how a member works.

mod children;
mod kubernetes;
mod options;
mod ready_text;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use apiserver::serve;
use apiserver::storage::{EtcdOptions, EtcdStorage, Storage};
use clap::Parser as _;
use server::Member;
use server::config::LogFormat;

use crate::{help, logging, wiring};
use kubernetes::Kubernetes;
pub(crate) use options::Options;

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
    let beside = Beside { options: options.clone(), kubernetes: None };
    let life = wiring::Life { has_parent: false, beside: Some(Box::new(beside)) };
    let ended = life.run(node.config()?);
    ended.map_err(|error| anyhow!("{error:#}; the log is {}", node.log.display()))
}

/// The Kubernetes part, and the text when everything is ready.
struct Beside {
    options: Options,
    kubernetes: Option<Kubernetes>,
}

#[async_trait::async_trait]
impl wiring::Beside for Beside {
    async fn start(&mut self, member: &Arc<Member>, began: Instant) {
        let kubernetes = match self.options.no_kubernetes {
            true => ready_text::Kubernetes::Unwanted,
            false => self.kubernetes(member).await,
        };
        let took = began.elapsed();
        help::say(&ready_text::one_member(&self.options, member, &kubernetes, took));
    }

    async fn stop(&mut self) {
        if let Some(kubernetes) = self.kubernetes.take() {
            kubernetes.stop().await;
        }
    }
}

impl Beside {
    async fn kubernetes(&mut self, member: &Arc<Member>) -> ready_text::Kubernetes {
        let service = serve::in_process(server::client_service(member));
        let storage = move || -> Result<Arc<dyn Storage>> {
            Ok(Arc::new(EtcdStorage::in_process(service, EtcdOptions::default())))
        };
        match Kubernetes::start(&self.options, storage).await {
            Ok(kubernetes) => {
                let told = kubernetes.told(&self.options);
                self.kubernetes = Some(kubernetes);
                ready_text::Kubernetes::Served(told)
            }
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "Kubernetes is not served");
                ready_text::Kubernetes::Failed(format!("{error:#}"))
            }
        }
    }
}
