//! What a collector is told of calls, beside what the real etcd tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use proto::etcdserverpb as pb;
use rustix::process::Signal;
use tokio::sync::mpsc;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, http};
use tonic::metadata::MetadataValue;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response};
use tonic_prost::ProstCodec;
use wire::{ExportRequest, ExportResponse, KeyValue, Span, Value};

use crate::support::{PATIENCE, Process, command, engram, free_ports};
use crate::tls::{etcdctl, flags};

/// What ours are written with: the real etcd's are read with the same, so that a wrong number of a
/// field would be seen.
#[path = "../../../server/src/spans/wire.rs"]
#[expect(dead_code, reason = "a collector has no use for the names of what is sent")]
mod wire;

/// One span as a collector sees it: its resource, its scope's name, itself.
type Told = (BTreeMap<String, String>, String, Span);

/// A collector that hands on what it is told.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<Told>);

impl tonic::server::UnaryService<ExportRequest> for Collector {
    type Response = ExportResponse;
    type Future = BoxFuture<Response<ExportResponse>, tonic::Status>;

    fn call(&mut self, request: Request<ExportRequest>) -> Self::Future {
        for of_resource in request.into_inner().resource_spans {
            let resource = texts(&of_resource.resource.unwrap_or_default().attributes);
            for of_scope in of_resource.scope_spans {
                let scope = of_scope.scope.unwrap_or_default().name;
                for span in of_scope.spans {
                    // Whoever asked has seen enough.
                    drop(self.0.send((resource.clone(), scope.clone(), span)));
                }
            }
        }
        Box::pin(async { Ok(Response::new(ExportResponse::default())) })
    }
}

impl tonic::codegen::Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        assert_eq!(request.uri().path(), wire::EXPORT);
        let collector = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<ExportResponse, ExportRequest>::default();
            let mut grpc = tonic::server::Grpc::new(codec)
                .accept_compressed(tonic::codec::CompressionEncoding::Gzip);
            Ok(grpc.unary(collector, request).await)
        })
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |row: &KeyValue| match row.value.clone().and_then(|value| value.value) {
        Some(Value::Text(text)) => text,
        other => format!("{other:?}"),
    };
    attributes.iter().map(|row| (row.key.clone(), text(row))).collect()
}

/// Listens; its port and what it is told.
async fn collector() -> (u16, mpsc::UnboundedReceiver<Told>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (sender, told) = mpsc::unbounded_channel();
    let server = tonic::transport::Server::builder();
    tokio::spawn(server.serve_with_incoming(Collector(sender), TcpIncoming::from(listener)));
    (port, told)
}

/// A member that tells this collector.
async fn telling(
    program: &Path,
    first: Option<&str>,
    folder: &Path,
    port: u16,
    more: &str,
) -> Process {
    let more = format!("--enable-distributed-tracing {more}");
    let words = flags(folder, "http", port, &more);
    let words: Vec<&str> = first.into_iter().chain(words.iter().map(String::as_str)).collect();
    let mut command = command(program, &words);
    let child = command.env("OTEL_BSP_SCHEDULE_DELAY", "100").spawn().expect("it starts");
    Process::said(child, port, "ready to serve client requests").await
}

/// What a call's span says, without what differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Says {
    name: String,
    kind: i32,
    attributes: BTreeMap<String, String>,
    status: (i32, String),
    parent: Vec<u8>,
    flags: u32,
    in_trace_of_caller: bool,
}

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNWANTED: &str = "00-1af7651916cd43dd8448eb211c80319d-b7ad6b7169203331-00";
const CALLERS_TRACE: [u8; 16] = [
    0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31, 0x9c,
];
const OTELGRPC: &str =
    "go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc";

fn says(span: Span, port: u16) -> Says {
    let mut attributes = texts(&span.attributes);
    let address = attributes.insert("server.port".to_owned(), "masked".to_owned());
    assert_eq!(address, Some(format!("{:?}", Some(Value::Number(i64::from(port))))));
    let status = span.status.unwrap_or_default();
    assert_eq!((span.trace_id.len(), span.span_id.len()), (16, 8));
    assert!(span.start_time_unix_nano < span.end_time_unix_nano, "it takes time");
    Says {
        name: span.name,
        kind: span.kind,
        attributes,
        status: (status.code, status.message),
        parent: span.parent_span_id,
        flags: span.flags,
        in_trace_of_caller: span.trace_id == CALLERS_TRACE,
    }
}

/// A put whose caller has a span of its own, or says that it wants none.
async fn put_within(process: &Process, key: &str, traceparent: &'static str) {
    let key = key.to_owned().into();
    let mut request = Request::new(pb::PutRequest { key, ..Default::default() });
    request.metadata_mut().insert("traceparent", MetadataValue::from_static(traceparent));
    process.kv().await.put(request).await.expect("accepted");
}

/// Takes what is told until all of these were told by both; the spans of calls of each, and the
/// names of the instances that told.
async fn told_by_both(
    told: &mut mpsc::UnboundedReceiver<Told>,
    instances: [(&str, u16); 2],
    wanted: usize,
) -> [Vec<Says>; 2] {
    let mut spans = [Vec::new(), Vec::new()];
    while spans.iter().any(|spans| spans.len() < wanted) {
        let next = tokio::time::timeout(PATIENCE, told.recv()).await;
        let (resource, scope, span) = next
            .unwrap_or_else(|_| panic!("no more is told after {spans:#?}"))
            .expect("the collector lives");
        assert_eq!(resource["service.name"], "store");
        assert_eq!(resource.len(), 2, "{resource:?}");
        let by = resource["service.instance.id"].as_str();
        let at = instances.iter().position(|(name, _)| *name == by).expect("one of both");
        // etcd also tells of the steps within a call, under a scope of its own; and of streams,
        // whose end is not the test's.
        if scope == OTELGRPC && !span.name.ends_with("/Watch") {
            spans[at].push(says(span, instances[at].1));
        }
    }
    spans.map(|mut spans| {
        spans.sort();
        spans
    })
}

#[tokio::test]
async fn a_collector_is_told_of_calls_as_by_etcd() {
    let Some(peers) = programs::peers_with(&["etcd", "etcdctl"]) else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (port, mut told) = collector().await;
    let (own, theirs) = (free_ports(), free_ports());
    let more = |instance: &str| {
        format!(
            "--distributed-tracing-address 127.0.0.1:{port} --distributed-tracing-service-name \
             store --distributed-tracing-instance-id {instance} \
             --distributed-tracing-sampling-rate 1000000"
        )
    };
    let (own_more, their_more) = (more("own"), more("theirs"));
    let (own_folder, their_folder) = (folder.path().join("own"), folder.path().join("theirs"));
    let etcd = peers.join("etcd");
    let members = tokio::join!(
        telling(engram(), Some("server"), &own_folder, own, &own_more),
        telling(&etcd, None, &their_folder, theirs, &their_more)
    );
    for process in [&members.0, &members.1] {
        for (line, code) in [
            ("put a 1", 0),
            ("get a", 0),
            ("del a", 0),
            ("lease revoke 5", 1),
            ("compaction 9", 1),
            ("member list", 0),
            ("alarm list", 0),
        ] {
            let line = format!("--endpoints http://127.0.0.1:{} {line}", process.port);
            assert_eq!(etcdctl(&peers, &line).await.0, code, "{line}");
        }
        put_within(process, "b", UNWANTED).await;
        put_within(process, "c", CALLER).await;
    }
    let instances = [("own", own), ("theirs", theirs)];
    let [ours, etcds] = told_by_both(&mut told, instances, 8).await;
    assert_eq!(ours, etcds);
    let names: BTreeSet<_> = ours.iter().map(|span| span.name.as_str()).collect();
    assert!(names.contains("etcdserverpb.KV/Put"), "{names:?}");
    let with_parent: Vec<_> = ours.iter().filter(|span| !span.parent.is_empty()).collect();
    assert_eq!(with_parent.len(), 1, "{ours:#?}");
    assert!(with_parent[0].in_trace_of_caller, "{with_parent:#?}");
    assert!(ours.iter().any(|span| {
        span.attributes["rpc.response.status_code"] == "NOT_FOUND" && span.status.0 == 0
    }));
}

#[tokio::test]
async fn without_a_rate_only_callers_decide_what_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, mut told) = collector().await;
    let more = format!("--distributed-tracing-address 127.0.0.1:{port}");
    let own = free_ports();
    let process = telling(engram(), Some("server"), folder.path(), own, &more).await;
    for _ in 0..20 {
        process.put("a", "1").await;
    }
    put_within(&process, "b", UNWANTED).await;
    put_within(&process, "c", CALLER).await;
    let (resource, _, span) =
        tokio::time::timeout(PATIENCE, told.recv()).await.expect("in time").expect("told");
    assert_eq!(resource, BTreeMap::from([("service.name".to_owned(), "etcd".to_owned())]));
    assert_eq!(span.trace_id, CALLERS_TRACE);
    assert!(told.try_recv().is_err(), "nothing else is told");
}

/// Puts for which nobody waits long, and an end in time.
async fn undisturbed(folder: &Path, collector: &str) {
    std::fs::create_dir_all(folder).expect("a folder");
    let more = format!(
        "--distributed-tracing-sampling-rate 1000000 --distributed-tracing-address {collector}"
    );
    let port = free_ports();
    let log = folder.join("log");
    let more = format!("{more} --log-outputs stderr,{}", log.display());
    let mut process = telling(engram(), Some("server"), &folder.join("data"), port, &more).await;
    let mut kv = process.kv().await;
    let mut slowest = Duration::ZERO;
    // More than the queue holds.
    for _ in 0..3000 {
        let began = Instant::now();
        let request =
            pb::RangeRequest { key: "a".into(), serializable: true, ..Default::default() };
        kv.range(request).await.expect("answered");
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}: a collector's deadline is 10 s");
    let (status, took) = process.end(Signal::TERM).await;
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    let said = std::fs::read_to_string(&log).expect("a log");
    let complaints = said.matches("spans cannot be sent to the collector").count();
    assert!(complaints <= 1, "said once, not {complaints} times");
}

#[tokio::test]
async fn a_collector_that_is_away_or_silent_disturbs_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let away = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let text =
        |listener: &tokio::net::TcpListener| listener.local_addr().expect("bound").to_string();
    let (silent_at, away_at) = (text(&silent), text(&away));
    drop(away);
    undisturbed(&folder.path().join("silent"), &silent_at).await;
    undisturbed(&folder.path().join("away"), &away_at).await;
}
