//! What a gRPC server says before any service is asked, and in place of tonic: grpc-go's words and
//! codes, which etcd's clients meet.
//!
//! etcd has two such servers: grpc-go's own transport, for HTTP/2 in the clear and for ports of
//! gRPC alone, tells each refusal as a gRPC status, with an HTTP code; Go's HTTP server, which
//! shares a TLS port with gRPC, tells them as pages.
//!
//! Invariant: a call that is sound is looked at and nothing of it is copied.
//! Must not know: what any RPC does.

use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tonic::body::Body;
use tonic::{Code, Status};

use crate::http::plain_error;
use crate::rpc::methods::{CallType, METHODS};

pub(super) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(super) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC: &[u8] = b"application/grpc";

/// Which of the two answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// With a gRPC status.
    Status,
    /// With a page.
    Page,
}

/// Whether a content type is gRPC's: alone or with a subtype. Compat: grpc-go's letters are small.
pub(super) fn is_grpc_type(headers: &HeaderMap) -> bool {
    let rest = content_type(headers).strip_prefix(GRPC);
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether a content type has gRPC's anywhere. Compat: by this etcd tells calls from pages where
/// they share a TLS port.
pub(super) fn has_grpc_type(headers: &HeaderMap) -> bool {
    content_type(headers).windows(GRPC.len()).any(|part| part == GRPC)
}

fn content_type(headers: &HeaderMap) -> &[u8] {
    headers.get(CONTENT_TYPE).map_or(b"", HeaderValue::as_bytes)
}

/// Whether a path is that of a call, `/package.Service/Method`, also of one that nobody serves: no
/// page has a dot in its first part.
pub(super) fn is_call_path(path: &str) -> bool {
    path.split('/').nth(1).is_some_and(|service| service.contains('.'))
}

/// The time that a call leaves; `None` when it says nothing of it.
///
/// *Errors*: it cannot be read; the text is grpc-go's. Of several the first one counts, by which
/// tonic wakes the call, and none may be unreadable.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, String> {
    let mut first = None;
    for value in headers.get_all(GRPC_TIMEOUT) {
        let read = duration(value.as_bytes())?;
        first = first.or(Some(read));
    }
    Ok(first)
}

/// *Source*: gRPC over HTTP/2: at most eight digits and a unit.
fn duration(value: &[u8]) -> Result<Duration, String> {
    let wrong = |what: &str| {
        let shown = String::from_utf8_lossy(value);
        Err(format!("malformed grpc-timeout: transport: timeout {what}: {shown:?}"))
    };
    let (digits, unit) = match value {
        [] | [_] => return wrong("string is too short"),
        [digits @ .., unit] if digits.len() <= 8 => (digits, unit),
        _ => return wrong("string is too long"),
    };
    let nanoseconds: u64 = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return wrong("unit is not recognized"),
    };
    let mut count = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            let shown = String::from_utf8_lossy(digits);
            let what = format!("strconv.ParseUint: parsing {shown:?}: invalid syntax");
            return Err(format!("malformed grpc-timeout: {what}"));
        }
        count = count * 10 + u64::from(digit - b'0');
    }
    // The longest are longer than 64 bits of nanoseconds: 292 years do as well.
    Ok(Duration::from_nanos(count.saturating_mul(nanoseconds)))
}

/// What is told when the time of a call is over.
pub(super) fn too_late() -> Status {
    Status::deadline_exceeded(TOO_LATE)
}

const TOO_LATE: &str = "context deadline exceeded";

/// The same as the end of a stream.
pub(super) fn too_late_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    trailers.insert(GRPC_STATUS, HeaderValue::from(Code::DeadlineExceeded as i32));
    trailers.insert(GRPC_MESSAGE, HeaderValue::from_static(TOO_LATE));
    trailers
}

/// The answer to a call whose timeout cannot be read.
#[cold]
pub(super) fn malformed(manner: Manner, text: &str) -> Response<Body> {
    refusal(manner, StatusCode::BAD_REQUEST, Code::Internal, text)
}

/// The answer to what came over HTTP/2 and is no call, where calls are expected.
///
/// *Order*: grpc-go's own transport looks at the timeout before the method.
#[cold]
pub(super) fn no_call<B>(manner: Manner, request: &Request<B>) -> Response<Body> {
    let (headers, method) = (request.headers(), request.method());
    let unsupported = || {
        let shown = String::from_utf8_lossy(content_type(headers));
        let text = format!("invalid gRPC request content-type {shown:?}");
        refusal(manner, StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, &text)
    };
    let not_allowed =
        |text: &str| refusal(manner, StatusCode::METHOD_NOT_ALLOWED, Code::Internal, text);
    let shown = method.as_str();
    match manner {
        Manner::Page if method == Method::POST => unsupported(),
        Manner::Page => {
            let mut page = not_allowed(&format!("invalid gRPC request method {shown:?}"));
            page.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            page
        }
        Manner::Status if !is_grpc_type(headers) => unsupported(),
        Manner::Status => match timeout(headers) {
            Err(text) => malformed(manner, &text),
            Ok(_) => not_allowed(&format!(
                "Received a HEADERS frame with :method {shown:?} which should be POST"
            )),
        },
    }
}

fn refusal(manner: Manner, http: StatusCode, code: Code, text: &str) -> Response<Body> {
    match manner {
        Manner::Page => plain_error(http, text).map(Body::new),
        Manner::Status => {
            let mut response = Status::new(code, text).into_http();
            *response.status_mut() = http;
            response
        }
    }
}

/// grpc-go's texts for a path that nobody serves.
pub(super) fn unknown_method(path: &str) -> Status {
    let known = |service: &str| METHODS.iter().any(|method| method.service.name() == service);
    match path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) {
        Some((service, method)) if known(service) => {
            Status::unimplemented(format!("unknown method {method} for service {service}"))
        }
        Some((service, _)) => Status::unimplemented(format!("unknown service {service}")),
        None => Status::unimplemented(format!("malformed method name: {path:?}")),
    }
}

/// How grpc-go tells what tonic refuses before a service sees it. Clients look for a message above
/// the limit as RESOURCE_EXHAUSTED; tonic has OUT_OF_RANGE and a text of its own.
pub(super) fn reworded(headers: &HeaderMap, call_type: CallType) -> Option<(Code, HeaderValue)> {
    let text = headers.get(GRPC_MESSAGE)?.to_str().ok()?.replace("%20", " ");
    let numbers = |text: &str| -> Vec<u64> {
        let parts = text.split(|character: char| !character.is_ascii_digit());
        parts.filter_map(|part| part.parse().ok()).collect()
    };
    // Compat: etcd tells single calls the reader's own error.
    let cut = match call_type {
        CallType::Unary => Code::Unknown,
        CallType::ServerStream | CallType::BidiStream => Code::Internal,
    };
    let (code, message) = if text.starts_with("Error, decoded message length too large") {
        let [found, limit] = numbers(&text)[..] else { return None };
        let message = format!("grpc: received message larger than max ({found} vs. {limit})");
        (Code::ResourceExhausted, message)
    } else if text.starts_with("Error decompressing: size limit") {
        let [limit] = numbers(&text)[..] else { return None };
        let message = format!("grpc: received message after decompression larger than max {limit}");
        (Code::ResourceExhausted, message)
    } else if text.starts_with("protocol error: received message with compressed-flag but no") {
        let message = "grpc: compressed flag set with identity or empty encoding".to_owned();
        (Code::Internal, message)
    } else if text.starts_with("protocol error: received message with invalid compression flag") {
        let flag = *numbers(&text).first()?;
        (Code::Internal, format!("grpc: received unexpected payload format {flag}"))
    } else if text == "Unexpected EOF decoding stream." {
        (cut, "unexpected EOF".to_owned())
    } else if text == "Missing request message." {
        let message = match call_type {
            CallType::Unary => "EOF",
            CallType::ServerStream | CallType::BidiStream => {
                "cardinality violation: received no request message from non-client-streaming RPC"
            }
        };
        (cut, message.to_owned())
    } else {
        return None;
    };
    Some((code, HeaderValue::from_str(&message).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_oversized_message_is_told_as_grpc_go_tells_it() {
        let rows = [
            (
                "Error, decoded message length too large: \
                 found 9000 bytes, the limit is: 2097152 bytes",
                "grpc: received message larger than max (9000 vs. 2097152)",
            ),
            (
                "Error decompressing: size limit, of 2097152 bytes, exceeded while decompressing \
                 message",
                "grpc: received message after decompression larger than max 2097152",
            ),
        ];
        for (tonics, expected) in rows {
            let headers = Status::out_of_range(tonics).into_http::<Body>().into_parts().0.headers;
            let (code, told) = reworded(&headers, CallType::Unary).expect("it is known");
            assert_eq!((code, told.to_str().ok()), (Code::ResourceExhausted, Some(expected)));
        }
        let other = Status::out_of_range("etcdserver: mvcc: required revision has been compacted");
        let headers = other.into_http::<Body>().into_parts().0.headers;
        assert_eq!(reworded(&headers, CallType::Unary), None);
    }

    #[test]
    fn unknown_paths_are_named_as_grpc_go_names_them() {
        let rows = [
            ("/etcdserverpb.KV/Bogus", "unknown method Bogus for service etcdserverpb.KV"),
            ("/a.B/C", "unknown service a.B"),
            ("/x", "malformed method name: \"/x\""),
        ];
        for (path, text) in rows {
            let refusal = unknown_method(path);
            assert_eq!((refusal.code(), refusal.message()), (Code::Unimplemented, text));
        }
    }

    #[test]
    fn timeouts_are_read_as_grpc_go_reads_them() {
        let hours = |hours: u64| Ok(Duration::from_secs(hours * 3600));
        let wrong = |text: &str| Err(format!("malformed grpc-timeout: {text}"));
        let rows = [
            ("1H", hours(1)),
            ("00000001H", hours(1)),
            ("2M", Ok(Duration::from_secs(120))),
            ("3S", Ok(Duration::from_secs(3))),
            ("4m", Ok(Duration::from_millis(4))),
            ("5u", Ok(Duration::from_micros(5))),
            ("0n", Ok(Duration::ZERO)),
            ("99999999H", Ok(Duration::from_nanos(u64::MAX))),
            ("", wrong("transport: timeout string is too short: \"\"")),
            ("S", wrong("transport: timeout string is too short: \"S\"")),
            ("123456789S", wrong("transport: timeout string is too long: \"123456789S\"")),
            ("1s", wrong("transport: timeout unit is not recognized: \"1s\"")),
            ("+1S", wrong("strconv.ParseUint: parsing \"+1\": invalid syntax")),
            ("1_0S", wrong("strconv.ParseUint: parsing \"1_0\": invalid syntax")),
        ];
        for (value, expected) in rows {
            assert_eq!(duration(value.as_bytes()), expected, "{value}");
        }
        let mut headers = HeaderMap::new();
        assert_eq!(timeout(&headers), Ok(None));
        headers.append(GRPC_TIMEOUT, HeaderValue::from_static("1H"));
        headers.append(GRPC_TIMEOUT, HeaderValue::from_static("2H"));
        assert_eq!(timeout(&headers), hours(1).map(Some));
        headers.append(GRPC_TIMEOUT, HeaderValue::from_static("x"));
        assert!(timeout(&headers).is_err());
    }

    #[test]
    fn calls_are_told_from_pages_by_their_paths() {
        for path in ["/etcdserverpb.KV/Range", "/no.Service/Call", "/a.b"] {
            assert!(is_call_path(path), "{path}");
        }
        for path in ["/health", "/v3/kv/range", "/readyz/data.x", "", "/"] {
            assert!(!is_call_path(path), "{path}");
        }
    }
}
