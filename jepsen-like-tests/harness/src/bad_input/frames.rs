//! Rows 23 to 25: gRPC's own framing broken, compression that bombs, protobuf that is none; the
//! answers of both servers held side by side.
//!
//! Invariants: what a server answers to bytes that never reach a service must be the same code and,
//! where it is not each decoder's own, the same text; after each case the member lives with the
//! same pairs and about as much memory.
//!
//! Must not know: how a server decodes.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full, StreamBody};
use hyper::Request;
use hyper::body::Frame;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::{Outcome, guard};
use crate::gateway::frames::decoded;
use crate::gateway::http::address;
use crate::process::Member;

/// What one case may cost: less than any of the bombs.
const CASE_BYTES_MAX: u64 = 48 << 20;
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A server that has not answered by then waits for more.
const SILENT_FOR: Duration = Duration::from_secs(1);
const TOO_LATE: &str = "200 4 context deadline exceeded";
/// What etcd's watch of health says at its end.
const ENDED: &str = "200 1 Stream has ended.";
/// How hyper tells RST_STREAM with CANCEL.
const TAKEN_BACK: &str = "stream error received: stream no longer needed";
const NO_ANSWER: &str = "no answer";

/// One call: headers in place of the usual ones, and its body.
struct Call {
    row: u8,
    name: &'static str,
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    /// An empty frame of data ends the stream, not its headers.
    ends_late: bool,
    expected: Expected,
}

/// What must be told.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// HTTP status, gRPC status and text, on both.
    Both(&'static str),
    /// The same HTTP and gRPC status on both; the text is each decoder's own.
    Code(&'static str),
    /// The real etcd's, and ours, which is another on purpose.
    Each(&'static str, &'static str),
    /// Ours; the real etcd waits for more.
    AtOnce(&'static str),
    /// The end of a stream at its deadline: that word; the real etcd's handler may be first with
    /// one of its own, or its timer, which takes the stream back.
    Deadline,
}

const RANGE_PATH: &str = "/etcdserverpb.KV/Range";
const USER_ADD_PATH: &str = "/etcdserverpb.Auth/UserAdd";
const WATCH_PATH: &str = "/etcdserverpb.Watch/Watch";
const HEALTH_PATH: &str = "/grpc.health.v1.Health/Check";
/// A range of the key `foo`.
const RANGE: &[u8] = b"\x0a\x03foo";
/// A watch of the key `foo`.
const WATCH: &[u8] = b"\x0a\x05\x0a\x03foo";
/// How prost tells a number where a key should be.
const OTHER_TYPE: &str = "200 13 failed to decode Protobuf message: RangeRequest.key: \
                          invalid wire type: Varint (expected LengthDelimited)";
/// The name `nobody` in field 1.
const NAME: &[u8] = b"\x0a\x06nobody";

/// Runs all of them on both servers.
pub(super) async fn run(etcd: &str, engram: &mut Member, outcome: &mut Outcome) -> Result<()> {
    for call in calls() {
        let held = one(etcd, engram, &call).await;
        outcome.check(call.row, call.name, held);
    }
    Ok(())
}

async fn one(etcd: &str, engram: &Member, call: &Call) -> Result<()> {
    let before = guard::before(engram).await?;
    let patience = match call.expected {
        Expected::AtOnce(_) => SILENT_FOR,
        _ => ANSWER_WITHIN,
    };
    let ask = |url| ask(url, call, patience);
    let (theirs, ours) = tokio::join!(ask(etcd), ask(engram.client_url()));
    let ours = ours.context("engram")?;
    let theirs = theirs.unwrap_or_else(|error| format!("{error:#}"));
    let both = || format!("etcd says {theirs:?}, engram {ours:?}");
    match call.expected {
        Expected::Both(expected) => {
            ensure!(theirs == expected && ours == expected, "expected {expected:?}: {}", both());
        }
        Expected::Code(code) => {
            let alike = [&theirs, &ours].iter().all(|told| told.starts_with(code));
            ensure!(alike, "expected {code:?}: {}", both());
        }
        Expected::Each(etcds, own) => {
            ensure!(theirs == etcds && ours == own, "expected {etcds:?}, {own:?}: {}", both());
        }
        Expected::Deadline => {
            let ended = [TOO_LATE, ENDED].contains(&theirs.as_str()) || theirs.contains(TAKEN_BACK);
            ensure!(ended && ours == TOO_LATE, "expected {TOO_LATE:?}: {}", both());
        }
        Expected::AtOnce(own) => {
            let waits = theirs.starts_with(NO_ANSWER);
            ensure!(waits && ours == own, "expected {own:?}: {}", both());
        }
    }
    guard::after(engram, before, CASE_BYTES_MAX).await
}

/// A message with its five bytes in front.
fn framed(flag: u8, length: u32, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

fn whole(flag: u8, message: &[u8]) -> Vec<u8> {
    framed(flag, u32::try_from(message.len()).unwrap_or(u32::MAX), message)
}

/// A range over gRPC, but for its body.
fn call(row: u8, name: &'static str, body: Vec<u8>, expected: Expected) -> Call {
    Call {
        row,
        name,
        method: "POST",
        path: RANGE_PATH,
        headers: vec![("content-type", "application/grpc"), ("te", "trailers")],
        body,
        ends_late: false,
        expected,
    }
}

/// With more headers.
fn said(mut call: Call, headers: &[(&'static str, &'static str)]) -> Call {
    call.headers.extend(headers);
    call
}

/// With other headers.
fn instead(call: Call, headers: &[(&'static str, &'static str)]) -> Call {
    Call { headers: headers.to_vec(), ..call }
}

fn calls() -> Vec<Call> {
    let groups = [
        compressed(),
        framed_wrongly(),
        not_asked_as_grpc(),
        deadlines(),
        unknown_health(),
        undecodable(),
    ];
    groups.into_iter().flatten().collect()
}

/// Row 23.
fn compressed() -> Vec<Call> {
    use Expected::{Both, Code};
    const GZIP: [(&str, &str); 1] = [("grpc-encoding", "gzip")];
    let bomb = zeros_in_gzip(1 << 20);
    vec![
        said(call(23, "gzip that unpacks to 165 MB", whole(1, &bomb), Code("200 8 ")), &GZIP),
        said(call(23, "gzip that is none", whole(1, b"nonsense"), Code("200 13")), &GZIP),
        said(call(23, "gzip that is cut off", whole(1, &bomb[..40]), Code("200 13")), &GZIP),
        said(
            call(23, "an encoding that nobody knows", whole(1, RANGE), Code("200 12 ")),
            &[("grpc-encoding", "snappy")],
        ),
        call(
            23,
            "compressed, and not said so",
            whole(1, RANGE),
            Both("200 13 grpc: compressed flag set with identity or empty encoding"),
        ),
    ]
}

/// Row 24.
fn framed_wrongly() -> Vec<Call> {
    use Expected::{AtOnce, Both, Each};
    let two = [whole(0, RANGE), whole(0, RANGE)].concat();
    let bytes = |name, body, expected| call(24, name, body, expected);
    vec![
        bytes(
            "a frame with a flag of 7",
            whole(7, RANGE),
            Both("200 13 grpc: received unexpected payload format 7"),
        ),
        bytes("a frame that is cut off", framed(0, 100, RANGE), Both("200 2 unexpected EOF")),
        bytes(
            "four of a frame's five bytes",
            vec![0; 4],
            Each("200 2 EOF", "200 2 unexpected EOF"),
        ),
        bytes(
            "a frame of 4 GiB",
            framed(0, u32::MAX, RANGE),
            Both("200 8 grpc: received message larger than max (4294967295 vs. 2097152)"),
        ),
        Call { ends_late: true, ..bytes("no message", Vec::new(), Both("200 2 EOF")) },
        bytes("no message and no frame", Vec::new(), AtOnce("200 2 EOF")),
        bytes("two messages", two, Both("200 0 ")),
        Call {
            path: WATCH_PATH,
            ..bytes(
                "a stream that is cut off",
                framed(0, 100, RANGE),
                Both("200 13 unexpected EOF"),
            )
        },
    ]
}

/// Row 24: what comes before the frames.
fn not_asked_as_grpc() -> Vec<Call> {
    use Expected::Both;
    let range = |name, expected| call(24, name, whole(0, RANGE), expected);
    let typed = |name, headers: &[(&'static str, &'static str)], expected| {
        instead(range(name, expected), headers)
    };
    vec![
        typed(
            "the content type of JSON",
            &[("content-type", "application/json"), ("te", "trailers")],
            Both("415 3 invalid gRPC request content-type \"application/json\""),
        ),
        typed(
            "no content type",
            &[("te", "trailers")],
            Both("415 3 invalid gRPC request content-type \"\""),
        ),
        typed("no te", &[("content-type", "application/grpc")], Both("200 0 ")),
        typed(
            "a content type that only begins so",
            &[("content-type", "application/grpcx"), ("te", "trailers")],
            Both("415 3 invalid gRPC request content-type \"application/grpcx\""),
        ),
        typed(
            "a content type with a part behind it",
            &[("content-type", "application/grpc;x=y"), ("te", "trailers")],
            Both("200 0 "),
        ),
        Call {
            method: "GET",
            ..range(
                "a call by GET",
                Both("405 13 Received a HEADERS frame with :method \"GET\" which should be POST"),
            )
        },
        Call {
            path: "/no.Service/Nothing",
            ..typed(
                "an unknown service as JSON",
                &[("content-type", "application/json")],
                Both("415 3 invalid gRPC request content-type \"application/json\""),
            )
        },
    ]
}

/// Row 24: deadlines that cannot be read, and those that can.
fn deadlines() -> Vec<Call> {
    use Expected::{Both, Deadline};
    let until = |name, value, expected| {
        said(call(24, name, whole(0, RANGE), expected), &[("grpc-timeout", value)])
    };
    vec![
        until(
            "a deadline that is none",
            "soon",
            Both(
                "400 13 malformed grpc-timeout: strconv.ParseUint: parsing \"soo\": invalid syntax",
            ),
        ),
        until(
            "a deadline without a unit",
            "1",
            Both("400 13 malformed grpc-timeout: transport: timeout string is too short: \"1\""),
        ),
        until(
            "a deadline of nine digits",
            "123456789S",
            Both(
                "400 13 malformed grpc-timeout: transport: timeout string is too long: \
                 \"123456789S\"",
            ),
        ),
        until(
            "a deadline of another unit",
            "1s",
            Both(
                "400 13 malformed grpc-timeout: transport: timeout unit is not recognized: \"1s\"",
            ),
        ),
        until("a deadline in 11,000 years", "99999999H", Both("200 0 ")),
        until("a deadline that is over", "0n", Both(TOO_LATE)),
        Call {
            path: WATCH_PATH,
            body: whole(0, WATCH),
            ..until("a watch until its deadline", "300m", Deadline)
        },
    ]
}

/// Row 24: health of names that nobody knows. A watch of one goes on, so it gets a deadline.
fn unknown_health() -> Vec<Call> {
    use Expected::{Both, Deadline};
    let asked = |name, path, expected| Call { path, ..call(24, name, whole(0, NAME), expected) };
    vec![
        asked("the health of nobody", HEALTH_PATH, Both("200 5 unknown service")),
        said(
            asked("a watch of the health of nobody", "/grpc.health.v1.Health/Watch", Deadline),
            &[("grpc-timeout", "300m")],
        ),
    ]
}

/// Row 25.
fn undecodable() -> Vec<Call> {
    use Expected::{Both, Code, Each};
    let proto = |name, message: &[u8], expected| call(25, name, whole(0, message), expected);
    let user = |name, message: &[u8], expected| Call {
        path: USER_ADD_PATH,
        ..call(25, name, whole(0, message), expected)
    };
    vec![
        user("a name that is no UTF-8", b"\x0a\x02\xff\xfe\x12\x01x", Code("200 13")),
        proto("a field that nobody knows", b"\x0a\x03foo\xc0\x3e\x07", Both("200 0 ")),
        proto(
            "a field of another type",
            b"\x08\x07",
            Each("200 3 etcdserver: key is not provided", OTHER_TYPE),
        ),
        proto(
            "a group that nobody knows",
            b"\x0a\x03foo\xc3\x3e\xc0\x3e\x07\xc4\x3e",
            Both("200 0 "),
        ),
        proto("a group that does not end", b"\x0a\x03foo\xc3\x3e", Code("200 13")),
        proto("an end of no group", b"\x0a\x03foo\xc4\x3e", Code("200 13")),
        proto("the field 0", b"\x00\x07", Code("200 13")),
        proto("a number of eleven bytes", &[&b"\x18"[..], &[0xff; 11]].concat(), Code("200 13")),
        proto("a length beyond the end", b"\x0a\x7ffoo", Code("200 13")),
        proto("a length of 2^63", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7ffoo", Code("200 13")),
        proto("groups nested 20,000 deep", &[0xc3, 0x3e].repeat(20_000), Code("200 13")),
    ]
}

/// HTTP status, gRPC status, and its text; a page's text where there is no gRPC status.
async fn ask(url: &str, call: &Call, patience: Duration) -> Result<String> {
    tokio::time::timeout(patience, answered(url, call)).await.context(NO_ANSWER)?
}

async fn answered(url: &str, call: &Call) -> Result<String> {
    let stream = tokio::net::TcpStream::connect(address(url)).await?;
    let http2 = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = http2.await?;
    let driving = tokio::spawn(connection);
    let target = format!("http://{}{}", address(url), call.path);
    let mut request = Request::builder().method(call.method).uri(target);
    for (name, value) in &call.headers {
        request = request.header(*name, *value);
    }
    let whole = Bytes::from(call.body.clone());
    let body = match call.ends_late {
        false => Either::Left(Full::new(whole)),
        true => {
            let frames = [Ok::<_, std::convert::Infallible>(Frame::data(whole))];
            Either::Right(StreamBody::new(futures::stream::iter(frames)))
        }
    };
    let (head, body) = sender.send_request(request.body(body)?).await?.into_parts();
    let body = body.collect().await?;
    let trailers = body.trailers().cloned().unwrap_or_default();
    driving.abort();
    let told = |name: &str| {
        let value = trailers.get(name).or_else(|| head.headers.get(name));
        value.map(|value| decoded(value.as_bytes()))
    };
    let page = String::from_utf8_lossy(&body.to_bytes()).trim().to_owned();
    Ok(match told("grpc-status") {
        Some(code) => {
            format!("{} {code} {}", head.status.as_u16(), told("grpc-message").unwrap_or_default())
        }
        None => format!("{} {page}", head.status.as_u16()),
    })
}

/// A gzip stream of this many bytes that unpacks to 158 times as many zeros.
///
/// *Source*: RFC 1951, section 3.2.6: with the fixed codes, 258 more of the last byte are 13 bits.
fn zeros_in_gzip(bytes: usize) -> Vec<u8> {
    let mut stream = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let (mut held, mut bits) = (0_u64, 0);
    let mut push = |stream: &mut Vec<u8>, code: u64, length: u32| {
        held |= code << bits;
        bits += length;
        while bits >= 8 {
            stream.push((held & 0xff) as u8);
            held >>= 8;
            bits -= 8;
        }
    };
    // The last block, with fixed codes; one zero; then copies. Codes are written from their front.
    push(&mut stream, 0b011, 3);
    push(&mut stream, u64::from(0b0011_0000_u8.reverse_bits()), 8);
    while stream.len() < bytes {
        push(&mut stream, u64::from(0b1100_0101_u8.reverse_bits()), 8);
        push(&mut stream, 0, 5);
    }
    stream
}
