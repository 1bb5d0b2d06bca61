//! What a gRPC server says about frames and metadata before any service is asked: compression,
//! sizes, `hasleader`, unknown methods.
//!
//! Must not know: what is behind the services.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::http::address;
use super::{Outcome, Pair};

/// A range of the key `foo`, and the same compressed with gzip.
const RANGE: &[u8] = b"\x0a\x03foo";
const RANGE_GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xe3, 0x62, 0x4e, 0xcb, 0xcf, 0x07,
    0x00, 0x61, 0xfc, 0x15, 0xed, 0x05, 0x00, 0x00, 0x00,
];

/// A call's name, path, more headers, the flag of its frame, and the message.
type Row = (&'static str, &'static str, &'static [(&'static str, &'static str)], u8, &'static [u8]);

const PATH: &str = "/etcdserverpb.KV/Range";

/// An empty text in field 1.
const NOTHING: &[u8] = b"\x0a\0";

const ROWS: &[Row] = &[
    ("plain", PATH, &[], 0, RANGE),
    ("plain, gzip readable", PATH, &[("grpc-accept-encoding", "gzip")], 0, RANGE),
    ("gzip", PATH, &[("grpc-encoding", "gzip")], 1, RANGE_GZIP),
    ("gzip said, plain sent", PATH, &[("grpc-encoding", "gzip")], 0, RANGE),
    ("identity said", PATH, &[("grpc-encoding", "identity")], 0, RANGE),
    ("an unknown encoding", PATH, &[("grpc-encoding", "snappy")], 1, RANGE_GZIP),
    ("compressed and not said", PATH, &[], 1, RANGE_GZIP),
    ("with a leader", PATH, &[("hasleader", "true")], 0, RANGE),
    ("with a client's version", PATH, &[("client-api-version", "3.7")], 0, RANGE),
    ("health", "/grpc.health.v1.Health/Check", &[], 0, NOTHING),
    ("the list of health", "/grpc.health.v1.Health/List", &[], 0, NOTHING),
    ("an unknown method of health", "/grpc.health.v1.Health/Nothing", &[], 0, NOTHING),
    ("an unknown method", "/etcdserverpb.KV/Nothing", &[], 0, RANGE),
    ("an unknown service", "/no.Service/Nothing", &[], 0, RANGE),
];

/// Compares all rows, and a message above the limit.
pub(super) async fn run(pair: Pair<'_>, outcome: &mut Outcome) -> Result<()> {
    let too_large = vec![b'a'; 3 << 20];
    let large: Row = ("a message above the limit", PATH, &[], 0, &[]);
    for row in ROWS.iter().chain([&large]) {
        let message = if row.4.is_empty() { too_large.as_slice() } else { row.4 };
        let (theirs, ours) = tokio::join!(call(pair[0], row, message), call(pair[1], row, message));
        let (etcd, engram) = (theirs?, ours?);
        let name = row.0;
        let difference = (etcd != engram)
            .then(|| format!("gRPC, {name}\n    etcd:   {etcd}\n    engram: {engram}"));
        outcome.add(difference);
    }
    Ok(())
}

/// Status, message and encoding of one call.
async fn call(url: &str, row: &Row, message: &[u8]) -> Result<String> {
    let stream = tokio::net::TcpStream::connect(address(url)).await?;
    let http2 = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = http2.await?;
    let driving = tokio::spawn(connection);
    let length = u32::try_from(message.len()).context("a message of less than 4 GiB")?;
    let frame = [&[row.3], length.to_be_bytes().as_slice(), message].concat();
    let mut request = Request::post(format!("http://{}{}", address(url), row.1))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in row.2 {
        request = request.header(*name, *value);
    }
    let answer = sender.send_request(request.body(Full::new(Bytes::from(frame)))?).await?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    let told = |name: &str| {
        let value = trailers.get(name).or_else(|| head.headers.get(name));
        value.map(|value| decoded(value.as_bytes()))
    };
    let mut text = format!(
        "{} {:?} {:?} encoding {:?}",
        head.status,
        told("grpc-status"),
        told("grpc-message").unwrap_or_default(),
        told("grpc-encoding").filter(|encoding| encoding != "identity"),
    );
    // Other answers tell of each server's own ids.
    if row.1.starts_with("/grpc.health") {
        text.push_str(&format!(" {:?}", body.to_bytes()));
    }
    driving.abort();
    Ok(text)
}

/// A header's value with its percent signs taken out: how much is escaped is open.
pub(crate) fn decoded(value: &[u8]) -> String {
    let mut bytes = Vec::new();
    let mut rest = value;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) if *byte == b'%' => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
