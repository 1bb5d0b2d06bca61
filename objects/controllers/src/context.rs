//! What every controller is handed: the client, the shared informers, the event sink, the options.

use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::informer::{Informed, Informer, Informers};
use crate::options::Options;
use crate::recorder::{EventSink, Recorder};

/// What every controller is handed. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// For writes, and for the few reads that must not come from a cache.
    pub client: Client,
    /// One watch per kind.
    pub informers: Informers,
    /// What runs, and how.
    pub options: Arc<Options>,
    /// Cancelled when the controllers are to stop.
    pub shutdown: CancellationToken,
    /// Tasks that are to end before [`crate::run()`] does: spawn on it what must not be cut off.
    pub tasks: TaskTracker,
    events: EventSink,
}

impl Context {
    /// Everything a set of controllers shares. Nothing is watched until somebody asks.
    pub fn new(client: Client, options: Options, shutdown: CancellationToken) -> Self {
        let tasks = TaskTracker::new();
        let informers = Informers::new(client.clone(), shutdown.clone(), tasks.clone());
        let events = EventSink::start(client.clone(), shutdown.clone(), &tasks);
        Self { client, informers, options: Arc::new(options), shutdown, tasks, events }
    }

    /// The shared informer of a kind.
    pub fn informer<K: Informed>(&self) -> Informer<K> {
        self.informers.of::<K>()
    }

    /// Records events in the name of a component, such as `deployment-controller`.
    pub fn recorder(&self, component: &'static str) -> Recorder {
        Recorder::new(component, self.events.clone())
    }

    /// Waits for an informer's first whole state; `false` if shutdown came first.
    pub async fn synced<K: Informed>(&self, informer: &Informer<K>) -> bool {
        tokio::select! {
            () = self.shutdown.cancelled() => false,
            () = informer.synced() => true,
        }
    }
}
