//! How outcomes look over HTTP: codes, bodies and lines.
//!
//! Compat: grpc-gateway's. Must not know: which RPC it was.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use tonic::{Code, Status};

use super::write;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The HTTP code that a gRPC code is told with.
pub(super) fn http_code(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        // Nobody has standardised it; nginx made it up for clients that went away.
        Code::Cancelled => StatusCode::from_u16(499).expect("it is in the range of codes"),
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            StatusCode::BAD_REQUEST
        }
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `{"code":…,"message":…}`; an empty message is left out.
fn error_object(status: &Status) -> String {
    let mut object = format!("{{\"code\":{}", status.code() as i32);
    if !status.message().is_empty() {
        object.push_str(",\"message\":");
        write::text(status.message(), &mut object);
    }
    object.push('}');
    object
}

/// The answer to a request that failed.
pub(super) fn refusal(status: &Status) -> Response {
    let mut response = json(error_object(status));
    *response.status_mut() = http_code(status.code());
    if status.code() == Code::Unauthenticated
        && let Ok(message) = HeaderValue::from_str(status.message())
    {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, message);
    }
    response
}

/// A stream that failed before its first message.
pub(super) fn stream_refusal(status: &Status) -> Response {
    let mut response = json(error_line(status));
    *response.status_mut() = http_code(status.code());
    response
}

/// The last line of a stream that failed.
pub(super) fn error_line(status: &Status) -> String {
    format!("{{\"error\":{}}}\n", error_object(status))
}

/// A good answer.
pub(super) fn success(body: impl Into<Body>) -> Response {
    let mut response = json(body);
    served(&mut response);
    response
}

/// A stream that ended well without a message: there is nothing to be a type of.
pub(super) fn empty_stream() -> Response {
    Response::new(Body::empty())
}

fn json(body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// Compat: the gateway shows the one header of the call behind it.
fn served(response: &mut Response) {
    const NAME: HeaderName = HeaderName::from_static("grpc-metadata-content-type");
    response.headers_mut().insert(NAME, HeaderValue::from_static("application/grpc"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_as_the_gateway_tells_them() {
        let rows = [
            (Status::not_found("etcdserver: requested lease not found"), 404),
            (Status::failed_precondition("x"), 400),
            (Status::out_of_range("x"), 400),
            (Status::resource_exhausted("x"), 429),
            (Status::unimplemented("x"), 501),
            (Status::unavailable("x"), 503),
            (Status::permission_denied("x"), 403),
            (Status::unauthenticated("x"), 401),
            (Status::cancelled("x"), 499),
            (Status::deadline_exceeded("x"), 504),
            (Status::data_loss("x"), 500),
        ];
        for (status, code) in rows {
            assert_eq!(refusal(&status).status().as_u16(), code);
        }
        let status = Status::invalid_argument("a \"b\"");
        assert_eq!(error_line(&status), "{\"error\":{\"code\":3,\"message\":\"a \\\"b\\\"\"}}\n");
        assert_eq!(error_object(&Status::unknown("")), "{\"code\":2}");
    }
}
