//! The Kubernetes part of `engram dev`: an API server, the controllers, the scheduler and simulated
//! nodes, on threads of their own.
//!
//! Invariants: the store neither waits for this part nor shares threads with it; what fails here
//! is said and does not end the store. Must not know: where the store is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use apiserver::serve::kubeconfig::Kubeconfig;
use apiserver::serve::{self, Server};
use apiserver::storage::Storage;
use controllers::connect;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::options::Options;

const THREADS: usize = 2;
/// How long the text waits for it to be ready.
const READY_WITHIN: Duration = Duration::from_secs(15);
/// How long the controllers may take to end.
const END_WITHIN: Duration = Duration::from_millis(300);

/// The part, running.
pub(crate) struct Kubernetes {
    server: Server,
    shutdown: CancellationToken,
    controllers: JoinHandle<()>,
    runtime: Option<Runtime>,
}

/// What the ready text tells of it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) url: String,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) sim_nodes: usize,
    /// What keeps it from being ready, if it takes too long.
    pub(crate) faults: Vec<String>,
}

impl Kubernetes {
    /// Starts it and waits until it is ready, or for so long. The storage must work on any runtime.
    pub(crate) async fn start(
        options: &Options,
        storage: impl FnOnce() -> Result<Arc<dyn Storage>> + Send + 'static,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name("kubernetes")
            .enable_all()
            .build()
            .context("cannot start the threads of Kubernetes")?;
        let options = options.clone();
        let starting = runtime.spawn(async move { start(&options, storage).await });
        let started = starting.await.context("the start of Kubernetes panicked")?;
        match started {
            Ok((server, shutdown, controllers)) => {
                Ok(Kubernetes { server, shutdown, controllers, runtime: Some(runtime) })
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// What there is to tell.
    pub(crate) fn told(&self, options: &Options) -> Told {
        Told {
            url: self.server.url(),
            kubeconfig: options.kubeconfig(),
            sim_nodes: options.sim_nodes,
            faults: self.server.faults(),
        }
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        self.shutdown.cancel();
        // Whatever the controllers have not ended is found again at the next start. The server need
        // not wait for them: their watches would only hold it up.
        let controllers = tokio::time::timeout(END_WITHIN, &mut self.controllers);
        let (_, ()) = tokio::join!(controllers, self.server.stop());
        runtime.shutdown_background();
    }
}

async fn start(
    options: &Options,
    storage: impl FnOnce() -> Result<Arc<dyn Storage>>,
) -> Result<(Server, CancellationToken, JoinHandle<()>)> {
    let began = Instant::now();
    let server = serve::serve(options.apiserver(), storage()?).await?;
    let client = Kubeconfig {
        name: "engram".to_owned(),
        server: server.url(),
        ca_certificate: server.ca_certificate().to_owned(),
        client: server.controllers().clone(),
    };
    let client = connect::connect(&client.text(), None).await?;
    let controllers = controllers::Options {
        sim_nodes: options.sim_nodes,
        root_ca_pem: Some(server.ca_certificate().to_owned()),
        ..controllers::Options::default()
    };
    let ready = tokio::time::timeout(READY_WITHIN, server.ready()).await;
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match ready {
        Ok(()) => tracing::info!(took_ms, url = server.url(), "Kubernetes is ready"),
        Err(_) => tracing::warn!(faults = server.faults().join("; "), "Kubernetes is not ready"),
    }
    let shutdown = CancellationToken::new();
    let running = controllers::run(client, controllers, shutdown.clone());
    Ok((server, shutdown, tokio::spawn(running)))
}
