//! The JSON gateway: single calls, streams, WebSockets, tokens, and what is refused.

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Node, cluster, http, one, one_with};

/// One POST; the code, the headers and the body.
async fn post_with(node: &Node, path: &str, headers: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(&node.address).await.expect("the port is open");
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\
         {headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split_whitespace().nth(1).and_then(|code| code.parse().ok()).expect("a code");
    (code, head.to_owned(), body.to_owned())
}

async fn post(node: &Node, path: &str, body: &str) -> (u16, String) {
    let (code, _, body) = post_with(node, path, "", body).await;
    (code, body)
}

/// An answer's body without its header, which holds ids.
fn without_header(body: &str) -> &str {
    let rest = body.strip_prefix("{\"header\":{").unwrap_or(body);
    rest.split_once('}').map_or(rest, |(_, rest)| rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_put_and_read_as_json() {
    let node = one().await;
    let (code, head, _) = post_with(
        &node,
        "/v3/kv/put",
        "",
        r#"{"key":"Zm9v","value":"YmFy","bogus":[{"a":1}]} and more"#,
    )
    .await;
    assert_eq!(code, 200);
    let head = head.to_ascii_lowercase();
    for line in [
        "content-type: application/json",
        "grpc-metadata-content-type: application/grpc",
        "access-control-allow-origin: *",
    ] {
        assert!(head.contains(line), "{line} is missing in {head}");
    }
    let expected = ",\"kvs\":[{\"key\":\"Zm9v\",\"create_revision\":\"2\",\"mod_revision\":\"2\",\
                    \"version\":\"1\",\"value\":\"YmFy\"}],\"count\":\"1\"}";
    for (path, body) in [
        ("/v3/kv/range", r#"{"key":"Zm9v"}"#),
        ("/v3beta/kv/range", r#"{"key":"Zm9v","sortOrder":"DESCEND","limit":5}"#),
    ] {
        let (code, body) = post(&node, path, body).await;
        assert_eq!((code, without_header(&body)), (200, expected), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_told_in_the_gateways_words() {
    let node = one().await;
    let rows = [
        ("/v3/kv/range", "", 400, 3, "etcdserver: key is not provided"),
        ("/v3/kv/range", "xyz", 400, 3, "invalid character 'x' looking for beginning of value"),
        ("/v3/kv/range", "{\"key\":\"Zm9v\"", 400, 3, "unexpected EOF"),
        (
            "/v3/kv/range",
            r#"{"key":5}"#,
            400,
            3,
            "proto: (line 1:8): invalid value for bytes field key: 5",
        ),
        ("/v3/kv/lease/revoke", r#"{"ID":12}"#, 404, 5, "etcdserver: requested lease not found"),
        (
            "/v3/auth/authenticate",
            r#"{"name":"a"}"#,
            400,
            9,
            "etcdserver: authentication is not enabled",
        ),
        ("/v3/kv/nothing", "{}", 404, 5, "Not Found"),
    ];
    for (path, body, code, grpc, message) in rows {
        let expected = format!("{{\"code\":{grpc},\"message\":\"{message}\"}}");
        assert_eq!(post(&node, path, body).await, (code, expected), "{path} {body}");
    }
    let late = post_with(&node, "/v3/kv/range", "Grpc-Timeout: 5x\r\n", "{}").await;
    let text = "{\"code\":3,\"message\":\"invalid grpc-timeout: 5x\"}";
    assert_eq!((late.0, late.2.as_str()), (400, text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_is_refused_and_holds_no_memory() {
    let node = one_with("--max-request-bytes 1000").await;
    let value = "A".repeat(800_000);
    let (code, body) = post(&node, "/v3/kv/put", &format!("{{\"value\":\"{value}\"}}")).await;
    assert_eq!(code, 429, "the service refuses it: {body}");
    assert!(body.contains("grpc: received message larger than max"), "{body}");
    let value = "A".repeat(4 << 20);
    let (code, body) = post(&node, "/v3/kv/put", &format!("{{\"value\":\"{value}\"}}")).await;
    let text = "{\"code\":8,\"message\":\"http: request body too large\"}";
    assert_eq!((code, body.as_str()), (429, text), "the gateway does not even read it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alives_are_lines_and_bad_lines_end_the_stream() {
    let node = one().await;
    let (code, body) =
        post(&node, "/v3/lease/keepalive", r#"{"ID":"77"}{"ID":78} {"ID":"a"}"#).await;
    assert_eq!(code, 200);
    let lines: Vec<&str> = body.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(lines.len(), 2, "{body}");
    assert!(
        lines[0].starts_with("{\"result\":{\"header\":") && lines[0].ends_with("\"ID\":\"77\"}}")
    );
    let (code, head, _) = post_with(&node, "/v3/lease/keepalive", "", "").await;
    assert_eq!(code, 200);
    assert!(!head.to_ascii_lowercase().contains("content-type: application/json"), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_streams_lines_while_its_body_is_open() {
    let node = one().await;
    let mut stream = TcpStream::connect(&node.address).await.expect("the port is open");
    let create = r#"{"create_request":{"key":"Zm9v"}}"#;
    let head = "POST /v3/watch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{head}{:x}\r\n{create}\r\n", create.len());
    stream.write_all(chunk.as_bytes()).await.expect("sent");
    let mut lines = BufReader::new(stream).lines();
    let mut next = async |what: &str| loop {
        let line = lines.next_line().await.expect("open").expect("not at its end");
        if line.contains(what) {
            return line;
        }
    };
    assert!(next("created").await.starts_with("{\"result\":{\"header\":"));
    node.put("foo", "bar").await;
    let event = next("events").await;
    assert!(event.contains("\"events\":[{\"kv\":{\"key\":\"Zm9v\",\"create_revision\":\"2\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_goes_over_a_websocket() {
    let node = one().await;
    let url = format!("ws://{}/v3/watch", node.address);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("upgraded");
    let create = r#"{"create_request":{"key":"Zm9v"}}"#;
    socket.send(Message::text(create)).await.expect("sent");
    let mut next = async || match socket.next().await {
        Some(Ok(Message::Text(text))) => text.to_string(),
        other => panic!("no text: {other:?}"),
    };
    assert!(next().await.contains("\"created\":true"));
    node.put("foo", "bar").await;
    let event = next().await;
    assert!(event.contains("\"value\":\"YmFy\"") && !event.ends_with('\n'), "{event}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_hosts_and_origins_are_kept_out() {
    let node = one_with("--host-whitelist a,b --cors http://c:1").await;
    let (code, text) = http(&node.address, "GET", "/health").await;
    assert_eq!(code, 421);
    assert!(text.contains("--host-whitelist \"x\""), "{text}");
    let node = one_with("--host-whitelist x --cors http://c:1").await;
    let (_, head, _) = post_with(&node, "/v3/kv/range", "Origin: http://c:1\r\n", "{}").await;
    assert!(head.to_ascii_lowercase().contains("access-control-allow-origin: http://c:1"));
    let (_, head, _) = post_with(&node, "/v3/kv/range", "Origin: http://d:1\r\n", "{}").await;
    assert!(!head.to_ascii_lowercase().contains("access-control-allow-origin"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_and_the_profiler_are_switched_by_their_flags() {
    let node = one_with("--enable-grpc-gateway=false --enable-pprof").await;
    let refused = post(&node, "/v3/kv/range", "{}").await;
    assert_eq!(refused, (404, "404 page not found\n".to_owned()));
    assert_eq!(http(&node.address, "GET", "/debug/pprof/").await.0, 200);
    assert_eq!(http(&node.address, "GET", "/debug/pprof/heap").await.0, 501);
    let (code, line) = http(&node.address, "GET", "/debug/pprof/cmdline").await;
    assert!(code == 200 && line.contains("services"), "{line}");
}

/// The names that the page says are told.
fn told() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compatibility/etcd.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let rows = page.lines().filter_map(|line| line.strip_suffix(" | same | |"));
    let names = rows.filter_map(|row| row.strip_prefix("| `")?.split_once('`'));
    names.map(|(name, _)| name.to_owned()).filter(|name| !name.starts_with('/')).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_series_of_the_page_is_told_from_the_first_scrape() {
    let nodes = cluster(3).await;
    let names = told();
    assert!(names.len() > 60, "{names:?}");
    for node in &nodes {
        let (_, page) = http(&node.address, "GET", "/metrics").await;
        for name in &names {
            assert!(page.contains(&format!("# TYPE {name} ")), "{name} is missing");
            let sample = page.lines().any(|line| line.starts_with(name.as_str()));
            assert!(sample, "{name} has no sample");
        }
    }
}
