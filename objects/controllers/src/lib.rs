//! Controllers: what makes declared objects come true, as clients of the Kubernetes REST API and of
//! nothing else.
//!
//! Invariants: no controller reads a store, keeps state that a restart would miss, or polls. Each
//! listens to shared informers ([`informer`]), puts keys on a de-duplicating queue ([`queue`]), and
//! compares what is with what is declared, one key at a time ([`worker`]). Any API server will do:
//! ours, or the real kube-apiserver.
//!
//! Must not know: the store, the wire of the API server, or which process it runs in.

pub mod claim;
pub mod connect;
pub mod context;
pub mod cronjob;
pub mod deployment;
pub mod discovery;
pub mod endpoints;
pub mod error;
pub mod expectations;
pub mod garbage;
pub mod informer;
pub mod job;
pub mod key;
mod kinds;
pub mod leader;
pub mod namespace;
pub mod node_lifecycle;
pub mod nodes;
pub mod options;
pub mod owned_pods;
pub mod ownership;
pub mod pod_collector;
pub mod pods;
pub mod queue;
pub mod recorder;
pub mod reflector;
pub mod replicaset;
pub mod run;
pub mod scheduler;
pub mod selector;
pub mod service_accounts;
pub mod worker;
pub mod written;

pub use context::Context;
pub use error::{Error, Reconciled};
pub use informer::{Change, Informed, Informer, Informers};
pub use key::ObjectKey;
pub use options::{Controller, Options};
pub use queue::Queue;
pub use recorder::Recorder;
pub use run::run;
