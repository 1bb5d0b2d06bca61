//! The door over HTTPS, as a bad client meets it: a whole server over the storage in memory.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apiserver::serve::{Options, Server, serve};
use apiserver::storage::MemoryStorage;
use bytes::Bytes;
use engram_apiserver as apiserver;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const PATIENCE: Duration = Duration::from_secs(20);
const JSON: (&str, &str) = ("content-type", "application/json");

struct Started {
    server: Server,
    _folder: tempfile::TempDir,
}

struct Answered {
    code: u16,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Answered {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Started {
    async fn new(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let tokens = folder.path().join("tokens");
        std::fs::write(&tokens, "secret,joe,1\n").expect("written");
        let mut options = Options::new(SocketAddr::from(([127, 0, 0, 1], 0)), folder.path().into());
        options.token_file = Some(tokens);
        change(&mut options);
        let storage = Arc::new(MemoryStorage::default());
        let server = serve(options, storage).await.expect("it starts");
        tokio::time::timeout(PATIENCE, server.ready()).await.expect("it gets ready");
        Started { server, _folder: folder }
    }

    async fn connect(&self, alpn: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.server.ca_certificate().as_bytes());
        roots.add(ca.expect("a certificate")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(self.server.address()).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("it is trusted")
    }

    /// A request with the token of somebody who is known.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answered {
        let mut all = vec![("authorization", "Bearer secret")];
        all.extend_from_slice(headers);
        self.ask_as(&all, method, path, body).await
    }

    async fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, &[], "").await
    }

    async fn ask_as(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Answered {
        let stream = TokioIo::new(self.connect(b"http/1.1").await);
        let (mut sender, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
        tokio::spawn(connection);
        let mut request = http::Request::builder().method(method).uri(path).header("host", "x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).expect("a request");
        let answer = async {
            let answer = sender.send_request(request).await.expect("answered");
            let (head, body) = answer.into_parts();
            let body = body.collect().await.expect("all of it").to_bytes();
            Answered { code: head.status.as_u16(), headers: head.headers, body }
        };
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| panic!("{path} hangs"))
    }
}

#[tokio::test]
async fn paths_that_name_nothing_are_not_found_and_change_nothing() {
    let server = Started::new(|_| {}).await;
    let status = "the server could not find the requested resource";
    let table = [
        ("/api/v1/nope", status),
        ("/api/v2/pods", status),
        ("/apis/apps/v2/deployments", status),
        ("/api/v1/pods/x", status),
        ("/api/v1/namespaces/default/nodes", status),
        ("/api/v1/namespaces/default/pods/a%2fb", status),
        ("/api/v1/namespaces/default/pods/..%2f..%2fsecrets", status),
        ("/api/v1/namespaces/default/pods/../secrets", status),
        ("/api/v1/namespaces/default/pods/x/nope", status),
    ];
    for (path, wanted) in table {
        let answer = server.get(path).await;
        assert_eq!((answer.code, answer.message().as_str()), (404, wanted), "{path}");
    }
    for path in ["/nope", "/apis/nope", "/apis/nope/v1/x", "/livez/nope"] {
        let answer = server.get(path).await;
        assert_eq!((answer.code, &answer.body[..]), (404, &b"404 page not found\n"[..]), "{path}");
    }
    let answer = server.get("/api/v1/namespaces/default/pods/%2e%2e").await;
    assert_eq!(answer.message(), "Name parameter invalid: \"..\": may not be '..'");
    assert_eq!(server.get("/api/v1/namespaces/default/pods/%zz").await.code, 400);
}

#[tokio::test]
async fn methods_that_a_resource_does_not_have_are_refused() {
    let server = Started::new(|_| {}).await;
    let table = [
        ("DELETE", "/api/v1/namespaces"),
        ("POST", "/api/v1/namespaces/default"),
        ("PUT", "/api/v1/namespaces"),
        ("POST", "/api/v1/pods"),
        ("OPTIONS", "/api/v1/namespaces"),
        ("FOO", "/api/v1/namespaces"),
        ("POST", "/version"),
        ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews"),
    ];
    for (method, path) in table {
        let answer = server.ask(method, path, &[], "").await;
        assert_eq!(answer.code, 405, "{method} {path}");
        assert_eq!(answer.json()["reason"], "MethodNotAllowed", "{method} {path}");
    }
    assert_eq!(server.ask("HEAD", "/api/v1/namespaces", &[], "").await.code, 405);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused() {
    let server = Started::new(|_| {}).await;
    let path = "/api/v1/namespaces/default/configmaps";
    let large = " ".repeat(3 * 1024 * 1024 + 1);
    let answer = server.ask("POST", path, &[JSON], large).await;
    assert_eq!(answer.code, 413);
    assert_eq!(answer.message(), "Request entity too large: limit is 3145728");
    let answer = server.ask("POST", path, &[("content-type", "text/plain")], "x").await;
    assert_eq!(answer.code, 415);
    assert!(answer.message().starts_with("the body of the request was in an unknown format"));
    let deep = "[".repeat(100_000);
    for body in ["", "{", "[]", "\"x\"", "{\"kind\":5}", "{\"metadata\":[]}", deep.as_str()] {
        let answer = server.ask("POST", path, &[JSON], body.to_owned()).await;
        let shown = &body[..body.len().min(20)];
        assert_eq!(answer.code, 400, "{shown}: {:?}", answer.body);
        assert_eq!(answer.json()["reason"], "BadRequest", "{shown}");
    }
    let yaml = ("content-type", "application/yaml");
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
                c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
                e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n\
                g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
    assert_eq!(server.ask("POST", path, &[yaml], bomb).await.code, 400);
    let protobuf = ("content-type", "application/vnd.kubernetes.protobuf");
    for body in ["x", "k8s\0", "k8s\0\u{1}\u{2}\u{3}"] {
        assert_eq!(server.ask("POST", path, &[protobuf], body).await.code, 400, "{body:?}");
    }
    let answer = server.get(path).await;
    assert_eq!(answer.json()["items"].as_array().map(Vec::len), Some(0), "nothing was made");
}

#[tokio::test]
async fn unknown_and_duplicate_fields_are_told_or_refused() {
    let server = Started::new(|_| {}).await;
    let path = "/api/v1/namespaces/default/configmaps?dryRun=All&fieldValidation=";
    let body = r#"{"metadata":{"name":"a"},"data":{"x":"1","x":"2"},"nope":1}"#;
    let ask = async |mode: &str| server.ask("POST", &format!("{path}{mode}"), &[JSON], body).await;
    let warned = ask("Warn").await;
    assert_eq!(warned.code, 201);
    let warnings: Vec<_> = warned.headers.get_all("warning").iter().collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert_eq!(ask("Ignore").await.header("warning"), "");
    let strict = ask("Strict").await;
    assert_eq!(strict.code, 400);
    assert!(strict.message().contains("strict decoding error: "), "{}", strict.message());
    assert!(strict.message().contains("unknown field \"nope\""), "{}", strict.message());
    assert!(strict.message().contains("duplicate field \"data.x\""), "{}", strict.message());
    assert_eq!(ask("Nonsense").await.code, 422);
}

#[tokio::test]
async fn forms_that_are_not_served_are_refused() {
    let server = Started::new(|_| {}).await;
    let path = "/api/v1/namespaces/default";
    let accept =
        async |path: &str, text: &str| server.ask("GET", path, &[("accept", text)], "").await;
    for text in ["text/plain", "application/vnd.kubernetes.protobuf", "application/cbor"] {
        let answer = accept(path, text).await;
        assert_eq!((answer.code, answer.json()["reason"].as_str()), (406, Some("NotAcceptable")));
    }
    let yaml = accept(path, "application/yaml").await;
    assert_eq!(yaml.header("content-type"), "application/yaml");
    assert!(yaml.body.starts_with(b"apiVersion: v1\nkind: Namespace\n"), "{:?}", yaml.body);
    let table = accept(path, "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    assert_eq!(table.json()["kind"], "Table");
    let metadata = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    assert_eq!(accept(path, metadata).await.json()["kind"], "PartialObjectMetadata");
    assert_eq!(accept("/api/v1/namespaces", metadata).await.code, 406);
    assert_eq!(accept("/api/v1/namespaces?watch=1", "application/yaml").await.code, 406);
}

#[tokio::test]
async fn discovery_is_not_sent_again_to_whoever_has_it() {
    let server = Started::new(|_| {}).await;
    let form = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let first = server.ask("GET", "/apis", &[("accept", form)], "").await;
    assert_eq!(first.header("content-type"), form);
    assert_eq!(first.json()["kind"], "APIGroupDiscoveryList");
    let etag = first.header("etag").to_owned();
    let headers = [("accept", form), ("if-none-match", etag.as_str())];
    let again = server.ask("GET", "/apis", &headers, "").await;
    assert_eq!((again.code, again.body.len()), (304, 0));
    let gzip = [("accept", form), ("accept-encoding", "gzip")];
    let small = server.ask("GET", "/api", &gzip, "").await;
    assert_eq!(small.header("content-encoding"), "", "too small to be worth it");
    let large = server.ask("GET", "/openapi/v3/api/v1", &gzip[1..], "").await;
    assert_eq!(large.header("content-encoding"), "gzip");
    assert!(large.body.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn whoever_is_unknown_or_wrong_is_told_so() {
    let server = Started::new(|_| {}).await;
    let nobody = server.ask_as(&[], "GET", "/api/v1/pods", "").await;
    assert_eq!((nobody.code, nobody.message().as_str()), (401, "Unauthorized"));
    assert_eq!(server.ask_as(&[], "GET", "/healthz", "").await.code, 200);
    assert_eq!(server.ask_as(&[], "GET", "/version", "").await.code, 200);
    let wrong = [("authorization", "Bearer nonsense")];
    assert_eq!(server.ask_as(&wrong, "GET", "/healthz", "").await.code, 401);
    let review = r#"{"spec":{"token":"secret"}}"#;
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let answer = server.ask("POST", path, &[JSON], review).await;
    assert_eq!(answer.json()["status"]["user"]["username"], "joe");
    let other = [("impersonate-user", "ann"), JSON];
    let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let answer = server.ask("POST", path, &other, "{}").await;
    assert_eq!(answer.json()["status"]["userInfo"]["username"], "ann");
}

#[tokio::test]
async fn every_answer_has_its_headers() {
    let server = Started::new(|_| {}).await;
    for path in ["/api/v1/pods", "/nope", "/api/v1/nope", "/healthz"] {
        let answer = server.get(path).await;
        assert_eq!(answer.header("audit-id").len(), 36, "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache, private", "{path}");
    }
}

#[tokio::test]
async fn a_watch_tells_what_happens_and_ends_in_time() {
    let server = Started::new(|_| {}).await;
    let path = "/api/v1/namespaces/default/configmaps";
    let watch = format!("{path}?watch=1&timeoutSeconds=2&allowWatchBookmarks=true");
    let watching = server.get(&watch);
    let making = async {
        let body = r#"{"metadata":{"name":"a"}}"#;
        assert_eq!(server.ask("POST", path, &[JSON], body).await.code, 201);
    };
    let began = Instant::now();
    let (watched, ()) = tokio::join!(watching, making);
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    let text = String::from_utf8(watched.body.to_vec()).expect("text");
    let events: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    let added = events.iter().find(|event| event["type"] == "ADDED").expect("one was made");
    assert_eq!(added["object"]["metadata"]["name"], "a");
    assert_eq!(added["object"]["kind"], "ConfigMap");
    let late = server.get(&format!("{path}?watch=1&timeoutSeconds=-1")).await;
    assert!(late.json()["object"]["message"] == "context deadline exceeded");
    assert_eq!(server.get(&format!("{path}?watch=1&timeoutSeconds=x")).await.code, 400);
}

#[tokio::test]
async fn http2_carries_many_requests_at_once() {
    let server = Started::new(|_| {}).await;
    let stream = TokioIo::new(server.connect(b"h2").await);
    let (sender, connection) =
        http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    let ask = |at: usize| {
        let mut sender = sender.clone();
        async move {
            let request = http::Request::get(format!("https://localhost/api/v1/pods?limit={at}"))
                .header("authorization", "Bearer secret")
                .body(Full::new(Bytes::new()))
                .expect("a request");
            sender.ready().await.expect("open");
            sender.send_request(request).await.expect("answered").status().as_u16()
        }
    };
    let codes = futures::future::join_all((0..50).map(ask)).await;
    assert!(codes.iter().all(|code| *code == 200), "{codes:?}");
}

/// A frame of HTTP/2: its type, its flags, stream 1 or that of the connection, its payload.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("short frames").to_be_bytes();
    [&[0, length[0], length[1], kind, flags, 0, 0, 0, stream], payload].concat()
}

/// The types and flags of the frames on stream 1, until one ends it.
async fn frames_of_stream(stream: &mut TlsStream<TcpStream>) -> Vec<(u8, u8)> {
    const RESET: u8 = 3;
    const END: u8 = 1;
    let mut frames = Vec::new();
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let mut payload = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
        stream.read_exact(&mut payload).await.expect("its payload");
        if head[8] == 1 {
            frames.push((head[3], head[4]));
        }
        if head[8] == 1 && (head[3] == RESET || (head[3] == 0 && head[4] & END != 0)) {
            return frames;
        }
    }
}

#[tokio::test]
async fn an_early_refusal_over_http2_waits_for_the_body_instead_of_resetting_the_stream() {
    let server = Started::new(|_| {}).await;
    let mut stream = server.connect(b"h2").await;
    let literal = |name: &str, value: &str| {
        let length = |text: &str| u8::try_from(text.len()).expect("short texts");
        [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
    };
    let headers = [
        literal(":method", "POST"),
        literal(":scheme", "https"),
        literal(":authority", "localhost"),
        literal(":path", "/api/v1/configmaps"),
        literal("authorization", "Bearer secret"),
    ]
    .concat();
    let opening = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(4, 0, 0, &[]),
        // The end of the headers, not of the stream.
        frame(1, 4, 1, &headers),
    ];
    stream.write_all(&opening.concat()).await.expect("sent");
    let moment = Duration::from_millis(200);
    let early = tokio::time::timeout(moment, frames_of_stream(&mut stream)).await;
    assert!(early.is_err(), "answered and over before the body: {early:?}");
    stream.write_all(&frame(0, 1, 1, b"{}")).await.expect("sent");
    let frames = tokio::time::timeout(PATIENCE, frames_of_stream(&mut stream)).await;
    let kinds: Vec<u8> = frames.expect("answered").iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [1, 0], "the headers and the body of the refusal, and no reset");
}

#[tokio::test]
async fn an_object_of_the_empty_namespace_is_told_that_its_namespace_is_missing() {
    let server = Started::new(|_| {}).await;
    let all = "/api/v1/namespaces//configmaps";
    let one = format!("{all}/a");
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#;
    let merge = ("content-type", "application/merge-patch+json");
    for (method, path, header, body) in [
        ("GET", one.as_str(), JSON, ""),
        ("PUT", &one, JSON, body),
        ("PATCH", &one, merge, "{}"),
        ("DELETE", &one, JSON, ""),
        ("DELETE", all, JSON, ""),
    ] {
        let answer = server.ask(method, path, &[header], body).await;
        assert_eq!(answer.code, 400, "{method} {path}: {}", answer.message());
        assert_eq!(answer.message(), "Namespace parameter required.", "{method} {path}");
        assert!(answer.json().get("details").is_none(), "{method} {path}");
    }
    let created = server.ask("POST", all, &[JSON], body).await;
    let why = "ConfigMap \"a\" is invalid: metadata.namespace: Required value";
    assert_eq!((created.code, created.message().as_str()), (422, why));
    assert_eq!(server.get(all).await.code, 200);
    assert_eq!(server.get("/api/v1/namespaces//nodes").await.code, 404);
}

#[tokio::test]
async fn a_deleted_collection_is_answered_in_the_version_that_was_asked_for() {
    let server = Started::new(|_| {}).await;
    let all = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
    let body = r#"{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler",
        "metadata":{"name":"a"},"spec":{"maxReplicas":3,"targetCPUUtilizationPercentage":70,
        "scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"a"}}}"#;
    assert_eq!(server.ask("POST", all, &[JSON], body).await.code, 201);
    let gone = server.ask("DELETE", all, &[], "").await.json();
    assert_eq!(gone["apiVersion"], "autoscaling/v1");
    assert_eq!(gone["items"][0]["spec"]["targetCPUUtilizationPercentage"], 70, "{gone}");
    assert!(gone["items"][0].get("kind").is_none(), "{gone}");
    assert_eq!(server.get(all).await.json()["items"], serde_json::json!([]));
}

#[tokio::test]
async fn the_status_of_a_flow_schema_takes_no_metadata_along() {
    let server = Started::new(|_| {}).await;
    let one = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/mine";
    let body = r#"{"apiVersion":"flowcontrol.apiserver.k8s.io/v1","kind":"FlowSchema",
        "metadata":{"name":"mine","labels":{"a":"b"}},
        "spec":{"priorityLevelConfiguration":{"name":"global-default"}}}"#;
    let all = one.trim_end_matches("/mine");
    assert_eq!(server.ask("POST", all, &[JSON], body).await.code, 201);
    let merge = ("content-type", "application/merge-patch+json");
    let patch = r#"{"metadata":{"labels":{"a":"c"},"annotations":{"x":"y"}}}"#;
    let patched = server.ask("PATCH", &format!("{one}/status"), &[merge], patch).await;
    assert_eq!((patched.code, &patched.json()["metadata"]["labels"]["a"]), (200, &"b".into()));
    assert!(patched.json()["metadata"].get("annotations").is_none());
}

#[tokio::test]
async fn a_refused_deletion_of_a_job_comes_with_its_warning() {
    let server = Started::new(|_| {}).await;
    let job = "/apis/batch/v1/namespaces/default/jobs/absent";
    let refused = server.ask("DELETE", job, &[], "").await;
    assert_eq!(refused.code, 404);
    assert!(
        refused.header("warning").contains("child pods are preserved"),
        "{:?}",
        refused.headers
    );
    let said = server.ask("DELETE", &format!("{job}?propagationPolicy=Orphan"), &[], "").await;
    assert_eq!((said.code, said.header("warning")), (404, ""));
    let all = "/apis/batch/v1/namespaces/default/jobs";
    assert!(server.ask("DELETE", all, &[], "").await.header("warning").contains("child pods"));
}

#[tokio::test]
async fn the_counter_of_a_daemon_sets_templates_stands_where_its_whole_object_does() {
    let server = Started::new(|_| {}).await;
    let all = "/apis/apps/v1/namespaces/default/daemonsets";
    let body = r#"{"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"d"},"spec":{
        "selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
        "spec":{"containers":[{"name":"c","image":"d"}]}}}}"#;
    assert_eq!(server.ask("POST", all, &[JSON], body).await.code, 201);
    const COUNTER: &str = "deprecated.daemonset.template.generation";
    let one = format!("{all}/d");
    let whole = server.get(&one).await.json();
    assert_eq!(whole["metadata"]["annotations"][COUNTER], "1");
    let shaped = |kind: &str| format!("application/json;as={kind};g=meta.k8s.io;v=v1");
    for (path, kind, at) in [
        (one.as_str(), "Table", "/rows/0/object/metadata"),
        (all, "Table", "/rows/0/object/metadata"),
        (&one, "PartialObjectMetadata", "/metadata"),
        (all, "PartialObjectMetadataList", "/items/0/metadata"),
    ] {
        let answer = server.ask("GET", path, &[("accept", &shaped(kind))], "").await.json();
        let metadata = answer.pointer(at).unwrap_or_else(|| panic!("{path} {kind}: {answer}"));
        assert_eq!(metadata["name"], "d", "{path} {kind}");
        assert!(metadata.get("annotations").is_none(), "{path} {kind}: {metadata}");
    }
    let initial = "watch=1&timeoutSeconds=1&sendInitialEvents=true&\
                   resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let watched = server.get(&format!("{all}?{initial}")).await;
    let text = String::from_utf8(watched.body.to_vec()).expect("text");
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let bookmark = events.into_iter().find(|event| event["type"] == "BOOKMARK").expect("the end");
    let annotations = &bookmark["object"]["metadata"]["annotations"];
    assert_eq!(annotations[COUNTER], "0");
    assert_eq!(annotations["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn a_service_without_a_name_is_told_of_the_address_that_it_cannot_have() {
    let server = Started::new(|_| {}).await;
    let all = "/api/v1/namespaces/default/services";
    let ask = async |path: &str, spec: &str| {
        let head = r#"{"apiVersion":"v1","kind":"Service","metadata":{},"spec":"#;
        let answer = server.ask("POST", path, &[JSON], format!("{head}{spec}}}")).await;
        assert_eq!(answer.code, 422, "{}", answer.message());
        answer.json()["details"]["causes"][0]["message"].as_str().unwrap_or_default().to_owned()
    };
    let cause = ask(all, r#"{"ports":[{"port":80}]}"#).await;
    assert!(cause.starts_with("Invalid value: [\"\"]: failed to allocate IP: "), "{cause}");
    assert!(cause.ends_with("is invalid: spec.parentRef.name: Required value"), "{cause}");
    let cause = ask(all, r#"{"clusterIP":"10.0.0.77","ports":[{"port":80}]}"#).await;
    let named = "Invalid value: [\"10.0.0.77\"]: failed to allocate IP 10.0.0.77: ";
    assert!(cause.starts_with(named), "{cause}");
    let nameless = "Required value: name or generateName is required";
    assert_eq!(ask(&format!("{all}?dryRun=All"), r#"{"ports":[{"port":80}]}"#).await, nameless);
    assert_eq!(ask(all, r#"{"clusterIP":"None","ports":[{"port":80}]}"#).await, nameless);
}

#[tokio::test]
async fn a_second_server_on_a_port_is_refused_and_a_stopped_one_frees_it() {
    let first = Started::new(|_| {}).await;
    let address = first.server.address();
    let folder = tempfile::tempdir().expect("a folder");
    let second = async |folder: &Path| {
        serve(Options::new(address, folder.into()), Arc::new(MemoryStorage::default())).await
    };
    let error = second(folder.path()).await.expect_err("it is taken").to_string();
    assert!(error.contains("cannot listen on 127.0.0.1"), "{error}");
    let began = Instant::now();
    first.server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    second(folder.path()).await.expect("it is free").stop().await;
}

#[tokio::test]
async fn the_objects_that_everybody_assumes_are_there() {
    let server = Started::new(|options| options.advertise = Some([192, 0, 2, 7].into())).await;
    let part = |answer: &Answered, path: &str| answer.json().pointer(path).cloned();
    let service = server.get("/api/v1/namespaces/default/services/kubernetes").await;
    assert_eq!(part(&service, "/spec/clusterIP"), Some("10.0.0.1".into()));
    let endpoints = server.get("/api/v1/namespaces/default/endpoints/kubernetes").await;
    assert_eq!(part(&endpoints, "/subsets/0/addresses/0/ip"), Some("192.0.2.7".into()));
    for path in [
        "/api/v1/namespaces/kube-system",
        "/api/v1/namespaces/kube-public",
        "/api/v1/namespaces/kube-node-lease",
        "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
        "/apis/networking.k8s.io/v1/servicecidrs/kubernetes",
        "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
    ] {
        assert_eq!(server.get(path).await.code, 200, "{path}");
    }
}

#[tokio::test]
async fn more_writes_than_seats_are_sent_away_and_reads_go_on() {
    let server = Started::new(|options| options.writes_max = 0).await;
    let path = "/api/v1/namespaces/default/configmaps";
    let answer = server.ask("POST", path, &[JSON], r#"{"metadata":{"name":"a"}}"#).await;
    assert_eq!((answer.code, answer.header("retry-after")), (429, "1"));
    assert_eq!(server.get(path).await.code, 200);
}
