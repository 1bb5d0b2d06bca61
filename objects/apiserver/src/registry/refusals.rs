//! Errors of the storage, of the cache and of patches, as the API says them.

use schema::patch::{PatchError, PatchErrorClass};

use super::row::Resource;
use crate::cache::CacheError;
use crate::status::{Details, FieldErrors, FieldPath, Reason, Status};
use crate::storage::StorageError;

/// An error of the storage during a verb (`get`, `update` …) on a resource.
pub(super) fn of_storage(row: &Resource, verb: &str, error: &StorageError) -> Status {
    match error {
        StorageError::Unavailable { .. } => {
            let mut status = Status::server_timeout(row.group(), row.plural(), verb);
            status.details.get_or_insert_default().retry_after_seconds = 2;
            status
        }
        StorageError::Overloaded { reason } => Status::too_many_requests(reason.clone(), 1),
        StorageError::TooLarge { reason } => Status::unknown(reason.clone()),
        StorageError::NoSpace => Status::unknown("etcdserver: mvcc: database space exceeded"),
        other => Status::unknown(other.to_string()),
    }
}

/// An error of the cache during a verb on a resource.
pub(super) fn of_cache(row: &Resource, verb: &str, error: CacheError) -> Status {
    let text = error.to_string();
    match error {
        CacheError::BadRequest(message) => Status::bad_request(message),
        CacheError::InvalidResourceVersion { .. } if verb != "list" => Status::unknown(text),
        CacheError::InvalidResourceVersion { .. } => {
            Status::bad_request(format!("invalid resource version: {text}"))
        }
        CacheError::Expired { message, continue_token } => {
            let status = Status::expired(message);
            match continue_token {
                Some(token) => status.with_continue(token),
                None => status,
            }
        }
        CacheError::TooLargeResourceVersion { asked, current, retry_after_seconds } => {
            Status::too_large_resource_version(asked.0, current.0, retry_after_seconds)
        }
        CacheError::Deadline => Status::plain(500, Reason::InternalError, text),
        CacheError::NotReady => Status::too_many_requests(text, 1),
        CacheError::Corrupt { message } => Status::internal(message),
        CacheError::Storage(error) => of_storage(row, verb, &error),
    }
}

/// An event that ends a watch, as the error it is.
#[must_use]
pub fn of_watch(row: &Resource, error: CacheError) -> Status {
    of_cache(row, "watch", error)
}

/// A patch that was not done.
pub(super) fn of_patch(error: PatchError) -> Status {
    match error.class {
        PatchErrorClass::BadRequest => Status::bad_request(error.message),
        PatchErrorClass::Unprocessable => Status {
            details: Some(Box::<Details>::default()),
            ..Status::plain(422, Reason::Invalid, error.message)
        },
        PatchErrorClass::Invalid { value } => invalid_patch(&value, &error.message),
        PatchErrorClass::TooLarge => {
            Status::plain(413, Reason::RequestEntityTooLarge, error.message)
        }
        PatchErrorClass::Internal => Status::unknown(error.message),
    }
}

/// What a patch leaves is no object of the kind: the answer names what it leaves.
pub(super) fn invalid_patch(value: &str, detail: &str) -> Status {
    let mut errors = FieldErrors::new();
    errors.invalid(&FieldPath::new("patch"), value, detail);
    Status::invalid("", "", "", errors)
}

/// A media type that is no patch.
pub(super) fn unsupported_patch() -> Status {
    Status {
        details: Some(Box::<Details>::default()),
        ..Status::plain(415, Reason::UnsupportedMediaType, "415: Unsupported Media Type")
    }
}

/// Whether a refusal says that nothing was written. After a timeout that is not known, and what the
/// object would have must stay taken.
pub(super) fn is_final(refusal: &Status) -> bool {
    refusal.reason != Reason::Timeout
}
