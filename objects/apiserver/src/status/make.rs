//! The constructors of [`Status`]: one for each refusal, with Kubernetes' words.
//!
//! Invariant: a sentence that clients may compare is written here and nowhere else.
//!
//! *Source*: apimachinery `pkg/api/errors`, and what kube-apiserver 1.37.0 answered.

use super::{Cause, Details, FieldErrors, Reason, Status, quote::quoted};

/// A resource or kind with its group, as messages name it: `deployments.apps`, `pods`.
#[must_use]
pub fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

fn about(group: &str, kind: &str, name: &str) -> Option<Box<Details>> {
    Some(Box::new(Details {
        name: name.to_owned(),
        group: group.to_owned(),
        kind: kind.to_owned(),
        ..Details::default()
    }))
}

fn retry_after(seconds: u32) -> Option<Box<Details>> {
    Some(Box::new(Details { retry_after_seconds: seconds, ..Details::default() }))
}

impl Status {
    /// A refusal without details.
    #[must_use]
    pub fn plain(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None, continue_token: None }
    }

    fn on(
        (code, reason): (u16, Reason),
        (group, kind, name): (&str, &str, &str),
        message: String,
    ) -> Self {
        Self { details: about(group, kind, name), ..Self::plain(code, reason, message) }
    }

    /// 404: the object is not there.
    #[must_use]
    pub fn not_found(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {} not found", qualified(group, resource), quoted(name));
        Self::on((404, Reason::NotFound), (group, resource, name), message)
    }

    /// 404 for a path that no resource serves, as the door says it.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self {
            details: Some(Box::default()),
            ..Self::plain(404, Reason::NotFound, "the server could not find the requested resource")
        }
    }

    /// 409: an object of that name is there.
    #[must_use]
    pub fn already_exists(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} {} already exists", qualified(group, resource), quoted(name));
        Self::on((409, Reason::AlreadyExists), (group, resource, name), message)
    }

    /// 409: no free name was found for a `generateName`.
    #[must_use]
    pub fn generate_name_conflict(group: &str, resource: &str, name: &str) -> Self {
        let message = format!(
            "{} {} already exists, the server was not able to generate a unique name for the \
             object",
            qualified(group, resource),
            quoted(name)
        );
        let mut status = Self::on((409, Reason::AlreadyExists), (group, resource, name), message);
        status.details.get_or_insert_default().retry_after_seconds = 1;
        status
    }

    /// 409: the object is not in the state the request asked for; `why` ends the sentence.
    #[must_use]
    pub fn conflict(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {}: {why}",
            qualified(group, resource),
            quoted(name)
        );
        Self::on((409, Reason::Conflict), (group, resource, name), message)
    }

    /// 409: the request's resourceVersion is not the object's.
    #[must_use]
    pub fn modified(group: &str, resource: &str, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Self::conflict(group, resource, name, why)
    }

    /// 422: validation found errors. `kind` is the kind's name, not the resource's.
    #[must_use]
    pub fn invalid(group: &str, kind: &str, name: &str, errors: FieldErrors) -> Self {
        let head = format!("{} {} is invalid", qualified(group, kind), quoted(name));
        let message = match errors.aggregate() {
            Some(all) => format!("{head}: {all}"),
            None => head,
        };
        let mut status = Self::on((422, Reason::Invalid), (group, kind, name), message);
        status.details.get_or_insert_default().causes = errors
            .iter()
            .map(|error| Cause {
                reason: error.kind.word().to_owned(),
                message: error.body(),
                field: error.path.clone(),
            })
            .collect();
        status
    }

    /// 400: the request makes no sense.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, Reason::BadRequest, message)
    }

    /// 401: the client is not known. The sentence is the one the authentication filter writes.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::plain(401, Reason::Unauthorized, "Unauthorized")
    }

    /// 403: not allowed; `why` ends the sentence.
    #[must_use]
    pub fn forbidden(group: &str, resource: &str, name: &str, why: &str) -> Self {
        let message = match (resource, name) {
            ("", _) => format!("forbidden: {why}"),
            (_, "") => format!("{} is forbidden: {why}", qualified(group, resource)),
            _ => format!("{} {} is forbidden: {why}", qualified(group, resource), quoted(name)),
        };
        Self::on((403, Reason::Forbidden), (group, resource, name), message)
    }

    /// 405: the resource has no such verb.
    #[must_use]
    pub fn method_not_supported(group: &str, resource: &str, action: &str) -> Self {
        let message = format!(
            "{action} is not supported on resources of kind {}",
            quoted(&qualified(group, resource))
        );
        Self::on((405, Reason::MethodNotAllowed), (group, resource, ""), message)
    }

    /// 405: the path is served, but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self {
            details: Some(Box::default()),
            ..Self::plain(
                405,
                Reason::MethodNotAllowed,
                "the server does not allow this method on the requested resource",
            )
        }
    }

    /// 406: none of the answers the client accepts can be given.
    #[must_use]
    pub fn not_acceptable(accepted: &[&str]) -> Self {
        let message =
            format!("only the following media types are accepted: {}", accepted.join(", "));
        Self::plain(406, Reason::NotAcceptable, message)
    }

    /// 415: the body's media type is not read here.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::plain(415, Reason::UnsupportedMediaType, message)
    }

    /// 413: the body or the object is too large.
    #[must_use]
    pub fn too_large(why: &str) -> Self {
        let message = format!("Request entity too large: {why}");
        Self::plain(413, Reason::RequestEntityTooLarge, message)
    }

    /// 410 Expired: what was asked for has been compacted away.
    #[must_use]
    pub fn expired(message: impl Into<String>) -> Self {
        Self::plain(410, Reason::Expired, message)
    }

    /// 410 Gone.
    #[must_use]
    pub fn gone(message: impl Into<String>) -> Self {
        Self::plain(410, Reason::Gone, message)
    }

    /// 504 with cause `ResourceVersionTooLarge`: a revision of the future was asked for.
    #[must_use]
    pub fn too_large_resource_version(requested: u64, current: u64, retry_seconds: u32) -> Self {
        Self::timeout(
            &format!("Too large resource version: {requested}, current: {current}"),
            retry_seconds,
        )
        .with_cause("ResourceVersionTooLarge", "Too large resource version", "")
    }

    /// 504 Timeout; 0 seconds are left out.
    #[must_use]
    pub fn timeout(message: &str, retry_seconds: u32) -> Self {
        let message = format!("Timeout: {message}");
        Self { details: retry_after(retry_seconds), ..Self::plain(504, Reason::Timeout, message) }
    }

    /// 500 ServerTimeout: the operation could not be finished now.
    #[must_use]
    pub fn server_timeout(group: &str, resource: &str, operation: &str) -> Self {
        let message = format!(
            "The {operation} operation against {} could not be completed at this time, please \
             try again.",
            qualified(group, resource)
        );
        Self::on((500, Reason::ServerTimeout), (group, resource, operation), message)
    }

    /// 429 with a time to wait; 0 seconds are left out.
    #[must_use]
    pub fn too_many_requests(message: impl Into<String>, retry_seconds: u32) -> Self {
        Self {
            details: retry_after(retry_seconds),
            ..Self::plain(429, Reason::TooManyRequests, message)
        }
    }

    /// 500: something of ours failed.
    #[must_use]
    pub fn internal(why: impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {why}");
        Self::plain(500, Reason::InternalError, message).with_cause("", why.to_string(), "")
    }

    /// 500 as an error without a type of its own is answered: the bare text, no reason.
    ///
    /// *Source*: apiserver `responsewriters.ErrorToAPIStatus` for errors that are no API status.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::plain(500, Reason::Unknown, message)
    }

    /// 503: not now.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::plain(503, Reason::ServiceUnavailable, message)
    }
}
