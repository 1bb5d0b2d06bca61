//! What is no gRPC call where calls are expected, and calls whose headers are wrong: each kind of
//! port refuses them as the real etcd's does.
//!
//! Must not know: what tells a call from a page.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::certificates::{Ca, Says};
use crate::support::{PATIENCE, Process, engram, free_ports};
use crate::tls::{dial, flags, server_flags, started};

/// What is asked: a method, a path, a content type and a timeout, where they are not empty.
type Ask = [&'static str; 4];

const RANGE: &str = "/etcdserverpb.KV/Range";
const GRPC: &str = "application/grpc";
const JSON: &str = "application/json";

const ASKS: &[Ask] = &[
    ["POST", RANGE, GRPC, ""],
    ["POST", RANGE, "application/grpc+proto", "9S"],
    ["POST", RANGE, GRPC, "soon"],
    ["POST", RANGE, GRPC, "1"],
    ["POST", RANGE, GRPC, "123456789S"],
    ["POST", RANGE, GRPC, "0n"],
    ["POST", RANGE, JSON, ""],
    ["POST", RANGE, JSON, "soon"],
    ["POST", RANGE, "", ""],
    ["POST", RANGE, "application/grpcx", ""],
    ["POST", RANGE, "application/GRPC", ""],
    ["POST", RANGE, "text/plain;application/grpc", ""],
    ["GET", RANGE, GRPC, ""],
    ["GET", RANGE, GRPC, "soon"],
    ["GET", RANGE, JSON, ""],
    ["GET", RANGE, "application/grpcx", ""],
    ["OPTIONS", RANGE, GRPC, ""],
    ["POST", "/etcdserverpb.KV/Nothing", GRPC, ""],
    ["POST", "/no.Service/Nothing", GRPC, ""],
    ["POST", "/no.Service/Nothing", JSON, ""],
    ["POST", "/health", GRPC, ""],
];

/// Pages, where etcd has them over HTTP/2.
const PAGES: &[Ask] =
    &[["GET", "/health", "", ""], ["GET", "/health", JSON, ""], ["POST", "/nowhere", JSON, ""]];

/// Engram and etcd with the same flags; with `split`, pages have a port of their own, 100 higher.
async fn pair(folder: &Path, scheme: &str, split: bool, more: &str) -> Option<[Process; 2]> {
    let peers = programs::peers_with(&["etcd"])?;
    let words = |name: &str, port: u16| {
        let pages = format!("--listen-client-http-urls {scheme}://127.0.0.1:{}", port + 100);
        let more = format!("{more} {}", if split { pages.as_str() } else { "" });
        flags(&folder.join(name), scheme, port, &more)
    };
    let (own, theirs) = (free_ports(), free_ports());
    let mut own_words = words("own", own);
    own_words.insert(0, "server".to_owned());
    let etcd = peers.join("etcd");
    let (a, b) = tokio::join!(
        started(engram(), own_words, own),
        started(&etcd, words("theirs", theirs), theirs)
    );
    Some([a, b])
}

/// The HTTP status; then gRPC's and its text, or the page and what it allows.
async fn told<I>(io: I, ask: &Ask, frame: &'static [u8]) -> Result<String, hyper::Error>
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let http2 = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io));
    let (mut sender, connection) = http2.await?;
    let driving = tokio::spawn(connection);
    let [method, path, content_type, timeout] = *ask;
    let mut request = Request::builder().method(method).uri(format!("http://127.0.0.1{path}"));
    for (name, value) in [("content-type", content_type), ("grpc-timeout", timeout)] {
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    let request = request.body(Full::new(Bytes::from_static(frame))).expect("a request");
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?;
    driving.abort();
    let trailers = body.trailers().cloned().unwrap_or_default();
    let said = |name: &str| {
        let value = trailers.get(name).or_else(|| head.headers.get(name))?;
        Some(value.to_str().expect("ASCII").replace("%20", " ").replace("%22", "\""))
    };
    let status = head.status.as_u16();
    Ok(match said("grpc-status") {
        Some(code) => format!("{status} {code} {}", said("grpc-message").unwrap_or_default()),
        None => {
            let page = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            format!("{status} {} {page}", said("allow").unwrap_or_default())
        }
    })
}

/// A range of the key `foo`.
const FRAME: &[u8] = b"\0\0\0\0\x05\x0a\x03foo";

/// What a port says to each of these, in the clear or over TLS.
async fn all(port: u16, ca: Option<&Ca>, asks: &[Ask]) -> Vec<String> {
    let asked = asks.iter().map(|ask| async move {
        let answer = async {
            match ca {
                None => {
                    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
                    told(stream, ask, FRAME).await
                }
                Some(ca) => {
                    told(dial(port, ca, None, b"h2").await.expect("let in"), ask, FRAME).await
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await.expect("in time");
        format!("{ask:?}: {}", answer.unwrap_or_else(|error| panic!("{ask:?}: {error}")))
    });
    futures::future::join_all(asked).await
}

/// Both say the same to all of these; what they say.
async fn equal(ports: [u16; 2], ca: Option<&Ca>, asks: &[Ask]) -> String {
    let (own, theirs) = tokio::join!(all(ports[0], ca, asks), all(ports[1], ca, asks));
    assert_eq!(own, theirs);
    own.join("\n")
}

fn assert_says(told: &str, lines: &[&str]) {
    for line in lines {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

#[tokio::test]
async fn in_the_clear_and_on_ports_of_grpc_alone_refusals_are_grpcs_own_as_with_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(shared) = pair(&folder.path().join("shared"), "http", false, "").await else { return };
    let told = equal([shared[0].port, shared[1].port], None, ASKS).await;
    let refused = [
        "400 13 malformed grpc-timeout: strconv.ParseUint: parsing \"soo\": invalid syntax",
        "415 3 invalid gRPC request content-type \"application/grpcx\"",
        "405 13 Received a HEADERS frame with :method \"GET\" which should be POST",
        "200 4 context deadline exceeded",
        "200 12 unknown service no.Service",
    ];
    assert_says(&told, &refused);
    let split = pair(&folder.path().join("split"), "http", true, "").await.expect("as before");
    let ports = [split[0].port, split[1].port];
    assert_says(&equal(ports, None, ASKS).await, &refused);
    // There, pages are none of its business.
    let told = equal(ports, None, PAGES).await;
    assert_eq!(told.matches("415 3 ").count(), PAGES.len(), "{told}");
}

#[tokio::test]
async fn where_tls_is_shared_with_pages_refusals_are_pages_as_with_etcd() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = Ca::new(folder.path(), "ca");
    let more = server_flags(&ca.sign("server", &Says::local("server", 1)));
    let shared = pair(&folder.path().join("shared"), "https", false, &more).await;
    let Some(shared) = shared else { return };
    let ports = [shared[0].port, shared[1].port];
    let told = equal(ports, Some(&ca), ASKS).await;
    assert_says(
        &told,
        &[
            "400  malformed grpc-timeout: strconv.ParseUint: parsing \"soo\": invalid syntax\n",
            "415  invalid gRPC request content-type \"application/grpcx\"\n",
            "405 POST invalid gRPC request method \"GET\"\n",
            "404  404 page not found\n",
        ],
    );
    assert_says(&equal(ports, Some(&ca), PAGES).await, &["200  {\"health\":\"true\""]);
    let split = pair(&folder.path().join("split"), "https", true, &more).await;
    let split = split.expect("as before");
    let ports = [split[0].port, split[1].port];
    let told = equal(ports, Some(&ca), ASKS).await;
    assert_says(&told, &["415 3 invalid gRPC request content-type \"application/grpcx\""]);
    // And the port of pages knows no gRPC.
    let told = equal(ports.map(|port| port + 100), Some(&ca), &[ASKS, PAGES].concat()).await;
    assert!(!told.contains("grpc-timeout:") && told.contains("404 page not found"), "{told}");
}

#[tokio::test]
async fn a_call_whose_time_is_over_ends_as_such_and_not_as_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(both) = pair(folder.path(), "http", false, "").await else { return };
    let lock = async |port: u16, timeout: &'static str| {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
        let ask = ["POST", "/v3lockpb.Lock/Lock", GRPC, timeout];
        let told = told(stream, &ask, b"\0\0\0\0\x03\x0a\x01a");
        tokio::time::timeout(PATIENCE, told).await.expect("in time")
    };
    for (process, is_own) in both.iter().zip([true, false]) {
        assert_eq!(lock(process.port, "60S").await.expect("free"), "200 0 ");
        let began = std::time::Instant::now();
        match lock(process.port, "300m").await {
            Ok(told) => assert_eq!(told, "200 4 context deadline exceeded"),
            // Its timer may take the stream back before the answer has left.
            Err(error) => assert!(!is_own, "{error}"),
        }
        assert!(began.elapsed() >= Duration::from_millis(300), "it was waited for");
    }
}
