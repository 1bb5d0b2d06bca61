//! What runs, and how.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// One controller, by the name that Kubernetes gives it where it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Controller {
    /// Deployments by ReplicaSets.
    Deployment,
    /// ReplicaSets by pods.
    ReplicaSet,
    /// Deletes what lost its owners.
    GarbageCollector,
    /// Empties namespaces that are being deleted.
    Namespace,
    /// The default ServiceAccount and the CA's ConfigMap in every namespace.
    ServiceAccount,
    /// Deletes pods of nodes that are gone.
    PodGarbageCollector,
    /// EndpointSlices and Endpoints of Services.
    EndpointSlice,
    /// Jobs by pods.
    Job,
    /// CronJobs by Jobs.
    CronJob,
    /// Puts pods on nodes.
    Scheduler,
    /// Marks nodes whose heartbeat stopped.
    NodeLifecycle,
    /// Simulated nodes.
    SimulatedNodes,
}

impl Controller {
    /// All there are.
    pub const ALL: [Self; 12] = [
        Self::Deployment,
        Self::ReplicaSet,
        Self::GarbageCollector,
        Self::Namespace,
        Self::ServiceAccount,
        Self::PodGarbageCollector,
        Self::EndpointSlice,
        Self::Job,
        Self::CronJob,
        Self::Scheduler,
        Self::NodeLifecycle,
        Self::SimulatedNodes,
    ];

    /// Its name on the command line and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deployment => "deployment-controller",
            Self::ReplicaSet => "replicaset-controller",
            Self::GarbageCollector => "garbage-collector-controller",
            Self::Namespace => "namespace-controller",
            Self::ServiceAccount => "serviceaccount-controller",
            Self::PodGarbageCollector => "pod-garbage-collector-controller",
            Self::EndpointSlice => "endpointslice-controller",
            Self::Job => "job-controller",
            Self::CronJob => "cronjob-controller",
            Self::Scheduler => "scheduler",
            Self::NodeLifecycle => "node-lifecycle-controller",
            Self::SimulatedNodes => "simulated-nodes",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Controller {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|c| c.name() == name);
        found.ok_or_else(|| format!("{name:?} is not a known controller"))
    }
}

/// What runs, and how. [`Options::default`] is all of it in one process, with a few nodes.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which controllers run.
    pub controllers: BTreeSet<Controller>,
    /// How many simulated nodes there are; 0 for none.
    pub sim_nodes: usize,
    /// How many keys of one kind are worked on at the same time.
    pub workers: usize,
    /// Whether only the holder of a Lease works; needed as soon as two of these processes run.
    pub leader_elect: bool,
    /// The name this process has in the Lease. Must differ between processes.
    pub identity: String,
    /// For how long a holder that does not renew keeps the Lease.
    pub lease_duration: Duration,
    /// What is published as `kube-root-ca.crt` in every namespace; nothing if absent.
    pub root_ca_pem: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            controllers: Controller::ALL.into(),
            sim_nodes: 3,
            workers: 5,
            leader_elect: false,
            identity: format!("engram_{:016x}", rand::random::<u64>()),
            lease_duration: Duration::from_secs(15),
            root_ca_pem: None,
        }
    }
}

impl Options {
    /// Switches controllers as kube-controller-manager's `--controllers` does: `*` is all, a name
    /// is this one, `-name` is not this one; what is named wins over `*`.
    ///
    /// # Errors
    /// A name that is not known.
    pub fn select(&mut self, words: &[impl AsRef<str>]) -> Result<(), String> {
        let mut selected = BTreeSet::new();
        if words.iter().any(|w| w.as_ref() == "*") {
            selected.extend(Controller::ALL);
        }
        for word in words.iter().map(AsRef::as_ref).filter(|w| *w != "*") {
            match word.strip_prefix('-') {
                Some(name) => selected.remove(&name.parse()?),
                None => selected.insert(word.parse()?),
            };
        }
        self.controllers = selected;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_controller_is_left_out_of_all() {
        let mut options = Options::default();
        options.select(&["*", "-scheduler"]).expect("known names");
        assert_eq!(options.controllers.len(), Controller::ALL.len() - 1);
        assert!(!options.controllers.contains(&Controller::Scheduler));
        options.select(&["job-controller"]).expect("a known name");
        assert_eq!(options.controllers, BTreeSet::from([Controller::Job]));
        assert!(options.select(&["-nonsense"]).is_err());
    }
}
