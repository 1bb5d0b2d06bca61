//! Counts of calls per RPC and code, with handles that are found once per path.
//!
//! Invariant: every series exists from the first scrape, at zero: dashboards subtract
//! `grpc_server_handled_total` from `grpc_server_started_total`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::histogram::{CALL_BOUNDS, Histogram};
use crate::rpc::methods::{METHODS, Method};

/// gRPC's codes by number, as grpc-go names them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

/// The counts of one RPC.
#[derive(Debug)]
pub(crate) struct CallCounts {
    pub(crate) method: &'static Method,
    started: AtomicU64,
    handled: [AtomicU64; CODES.len()],
    seconds: Histogram,
}

impl CallCounts {
    fn new(method: &'static Method) -> Arc<Self> {
        Arc::new(CallCounts {
            method,
            started: AtomicU64::new(0),
            handled: Default::default(),
            seconds: Histogram::new(&CALL_BOUNDS),
        })
    }

    /// Begins to count one call.
    pub(crate) fn start(self: &Arc<Self>) -> CallInProgress {
        self.started.fetch_add(1, Ordering::Relaxed);
        CallInProgress { counts: Arc::clone(self), since: Instant::now(), done: false }
    }

    fn finish(&self, code: usize, took: Duration) {
        self.handled[code.min(CODES.len() - 1)].fetch_add(1, Ordering::Relaxed);
        self.seconds.observe(took);
    }

    fn labels(&self) -> [(&'static str, &'static str); 3] {
        [
            ("grpc_type", self.method.call_type.label()),
            ("grpc_service", self.method.service.name()),
            ("grpc_method", self.method.name),
        ]
    }
}

/// A call that was started; dropped without a code it counts as canceled by the client.
#[derive(Debug)]
pub(crate) struct CallInProgress {
    counts: Arc<CallCounts>,
    since: Instant,
    done: bool,
}

impl CallInProgress {
    /// The call ended with this gRPC code.
    pub(crate) fn end(mut self, code: usize) {
        self.done = true;
        self.counts.finish(code, self.since.elapsed());
    }
}

impl Drop for CallInProgress {
    fn drop(&mut self) {
        const CANCELED: usize = 1;
        if !self.done {
            self.counts.finish(CANCELED, self.since.elapsed());
        }
    }
}

/// The counts of all RPCs, by path.
#[derive(Debug)]
pub(crate) struct Calls {
    by_path: HashMap<String, Arc<CallCounts>>,
    in_order: Vec<Arc<CallCounts>>,
}

impl Calls {
    /// All at zero.
    pub(crate) fn new() -> Arc<Self> {
        let in_order: Vec<_> = METHODS.iter().map(CallCounts::new).collect();
        let by_path = in_order
            .iter()
            .map(|counts| {
                let method = counts.method;
                (format!("/{}/{}", method.service.name(), method.name), Arc::clone(counts))
            })
            .collect();
        Arc::new(Calls { by_path, in_order })
    }

    /// The counts of a path such as `/etcdserverpb.KV/Put`.
    pub(crate) fn find(&self, path: &str) -> Option<&Arc<CallCounts>> {
        self.by_path.get(path)
    }
}

/// The series of [`Calls`] in a registry.
#[derive(Debug)]
pub(crate) struct CallSeries(pub(crate) Arc<Calls>);

impl Collector for CallSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let calls = &self.0.in_order;
        let mut family = encoder.encode_descriptor(
            "grpc_server_started",
            "RPCs started on the server",
            None,
            MetricType::Counter,
        )?;
        for call in calls {
            let started = call.started.load(Ordering::Relaxed);
            family
                .encode_family(&call.labels())?
                .encode_counter::<NoLabelSet, u64, u64>(&started, None)?;
        }
        let mut family = encoder.encode_descriptor(
            "grpc_server_handled",
            "RPCs completed on the server, whatever came of them",
            None,
            MetricType::Counter,
        )?;
        for call in calls {
            for (code, count) in CODES.iter().zip(&call.handled) {
                let [kind, service, method] = call.labels();
                let labels = [kind, service, method, ("grpc_code", code)];
                let count = count.load(Ordering::Relaxed);
                family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "grpc_server_handling_seconds",
            "Time until the server had handled an RPC",
            None,
            MetricType::Histogram,
        )?;
        for call in calls {
            let (sum, count, buckets) = call.seconds.snapshot();
            family
                .encode_family(&call.labels())?
                .encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}
