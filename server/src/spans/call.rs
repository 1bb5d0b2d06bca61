//! The span of one call, from its begin to its status.
//! Must not know: how spans are sent.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::mpsc;

use super::wire::{self, AnyValue, KeyValue, Value};
use crate::metrics::calls::Stopwatch;

/// A call that is told of.
#[derive(Debug)]
pub(crate) struct CallSpan {
    pub(super) done: Done,
    pub(super) since: Stopwatch,
    /// Where it goes at its end; when that is full, it is dropped.
    pub(super) queue: mpsc::Sender<Box<Done>>,
}

/// All that is told of a call.
#[derive(Debug)]
pub(super) struct Done {
    /// `service/method`
    pub(super) method: String,
    pub(super) trace_id: u128,
    pub(super) span_id: u64,
    /// The caller's span; none when we begin the trace.
    pub(super) parent_id: Option<u64>,
    pub(super) trace_state: String,
    /// Where the call came in.
    pub(super) local: Option<SocketAddr>,
    pub(super) began_since_1970: Duration,
    pub(super) took: Duration,
    pub(super) code: usize,
    pub(super) message: String,
}

/// gRPC's codes by number, as OpenTelemetry names them.
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The codes that are a server's fault: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL,
/// UNAVAILABLE, DATA_LOSS. *Source*: OpenTelemetry's conventions for RPC.
const FAULTS: [usize; 6] = [2, 4, 12, 13, 14, 15];

/// The trace is told of, as a bit of a span's flags.
const SAMPLED: u32 = 1;
/// The parent is known to be of another process. Compat: etcd says so also where there is none.
const REMOTE: u32 = 0x100 | 0x200;

impl CallSpan {
    /// Notes what the client is told, from headers or trailers with a status.
    pub(crate) fn told(&mut self, headers: &HeaderMap) {
        if let Some(status) = tonic::Status::from_header_map(headers) {
            self.done.message = status.message().to_owned();
        }
    }

    /// The call ended with this gRPC code.
    pub(crate) fn end(self, code: usize) {
        let done = Done { code, took: self.since.elapsed(), ..self.done };
        // Full, or the member stops: the call is not told.
        drop(self.queue.try_send(Box::new(done)));
    }
}

impl Done {
    /// As the collector reads it. Compat: names and order of otelgrpc.
    pub(super) fn into_wire(self) -> wire::Span {
        let name = CODES.get(self.code);
        let code = name.map_or_else(|| format!("CODE({})", self.code), |name| (*name).to_owned());
        let mut attributes =
            vec![text("rpc.method", self.method.clone()), text("rpc.system.name", "grpc".into())];
        if let Some(local) = self.local {
            attributes.push(text("server.address", local.ip().to_canonical().to_string()));
            attributes.push(row("server.port", Value::Number(i64::from(local.port()))));
        }
        attributes.push(text("rpc.response.status_code", code));
        let status = match FAULTS.contains(&self.code) {
            true => wire::Status { message: self.message, code: wire::ERROR },
            false => wire::Status::default(),
        };
        wire::Span {
            trace_id: self.trace_id.to_be_bytes().to_vec(),
            span_id: self.span_id.to_be_bytes().to_vec(),
            trace_state: self.trace_state,
            parent_span_id: self.parent_id.map_or_else(Vec::new, |id| id.to_be_bytes().to_vec()),
            name: self.method,
            kind: wire::SERVER,
            start_time_unix_nano: nanos(self.began_since_1970),
            end_time_unix_nano: nanos(self.began_since_1970 + self.took),
            attributes,
            status: Some(status),
            flags: SAMPLED | REMOTE,
        }
    }
}

/// An attribute that is a text.
pub(super) fn text(key: &str, value: String) -> KeyValue {
    row(key, Value::Text(value))
}

fn row(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn nanos(since_1970: Duration) -> u64 {
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
