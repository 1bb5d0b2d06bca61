//! Counts of calls per RPC and code, with handles that are found once per path.
//!
//! Invariant: every series exists from the first scrape, at zero: dashboards subtract
//! `grpc_server_handled_total` from `grpc_server_started_total`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::histogram::{
    Bounds, CALL_BOUNDS, Histogram, LONG_BOUNDS, MILLISECOND_BOUNDS, RANGE_BOUNDS, TENTH_BOUNDS,
};
use super::page::Page;
use crate::rpc::methods::{CallType, METHODS, Method, Service};
use crate::spans::CallSpan;

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
    /// Times of failed and of good ones, under etcd's name for the request.
    request: Option<(&'static str, [Histogram; 2])>,
    /// A series of etcd's that is about this RPC alone.
    own: Option<(Own, Histogram)>,
}

/// A histogram of one RPC under a name of its own.
#[derive(Debug, Clone, Copy)]
struct Own {
    name: &'static str,
    help: &'static str,
    /// Whether good ones are told by a label; failed ones are not counted.
    labels: &'static [(&'static str, &'static str)],
}

/// etcd's series that are about one RPC. Compat: the whole call is measured here, in etcd the work
/// behind it.
const OWN: &[(Service, &str, Own, &Bounds)] = &[
    (
        Service::Kv,
        "Range",
        Own {
            name: "etcd_server_range_duration_seconds",
            help: "Time until a range was answered",
            labels: &[("success", "true")],
        },
        &RANGE_BOUNDS,
    ),
    (
        Service::Maintenance,
        "Hash",
        Own {
            name: "etcd_mvcc_hash_duration_seconds",
            help: "Time of hashing the whole state",
            labels: &[],
        },
        &LONG_BOUNDS,
    ),
    (
        Service::Maintenance,
        "HashKV",
        Own {
            name: "etcd_mvcc_hash_rev_duration_seconds",
            help: "Time of hashing the keys up to a revision",
            labels: &[],
        },
        &LONG_BOUNDS,
    ),
    (
        Service::Maintenance,
        "Snapshot",
        Own {
            name: "etcd_disk_backend_snapshot_duration_seconds",
            help: "Time until a snapshot was sent to a client",
            labels: &[],
        },
        &LONG_BOUNDS,
    ),
    (
        Service::Maintenance,
        "Defragment",
        Own {
            name: "etcd_disk_backend_defrag_duration_seconds",
            help: "Time of compacting the files of the state",
            labels: &[],
        },
        &TENTH_BOUNDS,
    ),
];

impl CallCounts {
    fn new(method: &'static Method) -> Arc<Self> {
        Arc::new(CallCounts {
            method,
            started: AtomicU64::new(0),
            handled: Default::default(),
            seconds: Histogram::new(&CALL_BOUNDS),
            request: request_type(method)
                .map(|name| (name, [(); 2].map(|()| Histogram::new(&MILLISECOND_BOUNDS)))),
            own: OWN
                .iter()
                .find(|(service, name, ..)| (*service, *name) == (method.service, method.name))
                .map(|(_, _, own, bounds)| (*own, Histogram::new(bounds))),
        })
    }

    /// Begins to count one call. A unary one that takes longer than `slow` is logged; `span` ends
    /// with it.
    pub(crate) fn start(
        self: &Arc<Self>,
        slow: Option<Duration>,
        span: Option<Box<CallSpan>>,
    ) -> CallInProgress {
        self.started.fetch_add(1, Ordering::Relaxed);
        let slow = slow.filter(|_| self.method.call_type == CallType::Unary);
        CallInProgress { counts: Arc::clone(self), since: Instant::now(), slow, span, done: false }
    }

    fn finish(&self, code: usize, took: Duration) {
        self.handled[code.min(CODES.len() - 1)].fetch_add(1, Ordering::Relaxed);
        self.seconds.observe(took);
        if let Some((_, times)) = &self.request {
            times[usize::from(code == 0)].observe(took);
        }
        if let Some((_, times)) = self.own.as_ref().filter(|_| code == 0) {
            times.observe(took);
        }
    }

    /// Calls that were started and have not ended.
    fn under_way(&self) -> u64 {
        let handled: u64 = self.handled.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        self.started.load(Ordering::Relaxed).saturating_sub(handled)
    }

    fn labels(&self) -> [(&'static str, &'static str); 3] {
        [
            ("grpc_method", self.method.name),
            ("grpc_service", self.method.service.name()),
            ("grpc_type", self.method.call_type.label()),
        ]
    }
}

/// A call that was started; dropped without a code it counts as canceled by the client.
#[derive(Debug)]
pub(crate) struct CallInProgress {
    counts: Arc<CallCounts>,
    since: Instant,
    slow: Option<Duration>,
    span: Option<Box<CallSpan>>,
    done: bool,
}

impl CallInProgress {
    /// The shape of the call.
    pub(crate) fn call_type(&self) -> CallType {
        self.counts.method.call_type
    }

    /// Notes what the client is told, from headers or trailers with a status.
    pub(crate) fn told(&mut self, headers: &http::HeaderMap) {
        if let Some(span) = &mut self.span {
            span.told(headers);
        }
    }

    /// The call ended with this gRPC code.
    pub(crate) fn end(mut self, code: usize) {
        self.done = true;
        if let Some(span) = self.span.take() {
            span.end(code);
        }
        let took = self.since.elapsed();
        self.counts.finish(code, took);
        if self.slow.is_some_and(|slow| took > slow) {
            self.say_slow(code, took);
        }
    }

    /// Compat: the message that etcd gives a slow call, without what was asked: that may be a
    /// secret.
    #[cold]
    fn say_slow(&self, code: usize, took: Duration) {
        let method = self.counts.method;
        tracing::warn!(
            "time spent" = ?took,
            "response type" = format!("/{}/{}", method.service.name(), method.name),
            code = CODES[code.min(CODES.len() - 1)],
            "request stats"
        );
    }
}

impl Drop for CallInProgress {
    fn drop(&mut self) {
        const CANCELED: usize = 1;
        if !self.done {
            self.counts.finish(CANCELED, self.since.elapsed());
            if let Some(span) = self.span.take() {
                span.end(CANCELED);
            }
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

    /// How many calls of a path were answered well.
    pub(crate) fn handled(&self, path: &str) -> u64 {
        self.find(path).map_or(0, |counts| counts.handled[0].load(Ordering::Relaxed))
    }
}

/// Writes the series of all calls.
pub(super) fn write(calls: &Calls, page: &mut Page) {
    let calls = &calls.in_order;
    let mut family =
        page.family("grpc_server_started_total", "RPCs started on the server", "counter");
    for call in calls {
        family.sample("", &call.labels(), call.started.load(Ordering::Relaxed));
    }
    let help = "RPCs completed on the server, whatever came of them";
    let mut family = page.family("grpc_server_handled_total", help, "counter");
    for call in calls {
        let [method, service, kind] = call.labels();
        for (code, count) in CODES.iter().zip(&call.handled) {
            let labels = [("grpc_code", *code), method, service, kind];
            family.sample("", &labels, count.load(Ordering::Relaxed));
        }
    }
    let help = "Time until the server had handled an RPC";
    let mut family = page.family("grpc_server_handling_seconds", help, "histogram");
    for call in calls {
        family.histogram(&call.labels(), &call.seconds.snapshot());
    }
    let help = "Time until a request was answered, by what it asks for";
    let mut family = page.family("etcd_server_request_duration_seconds", help, "histogram");
    for call in calls {
        let Some((kind, [failed, good])) = &call.request else { continue };
        for (success, times) in [("false", failed), ("true", good)] {
            family.histogram(&[("success", success), ("type", kind)], &times.snapshot());
        }
    }
    write_own(calls, page);
}

/// Writes the series of etcd's that are about one RPC.
fn write_own(calls: &[Arc<CallCounts>], page: &mut Page) {
    for call in calls {
        if let Some((own, times)) = &call.own {
            page.family(own.name, own.help, "histogram").histogram(own.labels, &times.snapshot());
        }
        if call.method.name == "Defragment" {
            let help = "1 while the files of the state are compacted on request";
            page.gauge("etcd_disk_defrag_inflight", help, call.under_way().min(1));
        }
    }
}

/// How etcd names a request in its own times; `None` for calls it does not time.
fn request_type(method: &Method) -> Option<&'static str> {
    match (method.service, method.name) {
        (_, "Authenticate" | "LeaseTimeToLive" | "LeaseLeases") => None,
        (Service::Kv, "Compact") => Some("Compaction"),
        (Service::Kv | Service::Lease | Service::Auth, name)
            if method.call_type == CallType::Unary =>
        {
            Some(name)
        }
        (Service::Maintenance, "Alarm") => Some("Alarm"),
        _ => None,
    }
}

/// Measures how long something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    pub(crate) fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// Time since the beginning.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
