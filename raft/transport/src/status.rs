//! A peer's refusals as gRPC status codes, and back.
//!
//! Invariant: only what certainly was not handled comes back as such.
//! Must not know: which call failed.

use std::error::Error;

use raft::PeerError;
use tonic::{Code, Status};

use crate::connect::ConnectError;

/// The status a handler's refusal is sent as.
pub(crate) fn to_status(error: PeerError) -> Status {
    let text = error.to_string();
    match error {
        PeerError::Identity(_) => Status::failed_precondition(text),
        PeerError::Refused(_) => Status::aborted(text),
        PeerError::Unreachable(_) | PeerError::NoAnswer(_) => Status::unknown(text),
    }
}

/// What a failed call means to its caller.
pub(crate) fn from_status(status: &Status) -> PeerError {
    if is_connect_error(status) {
        return PeerError::Unreachable(status.message().to_owned());
    }
    match status.code() {
        Code::FailedPrecondition => PeerError::Identity(status.message().to_owned()),
        Code::Aborted | Code::Unimplemented => PeerError::Refused(status.message().to_owned()),
        _ => PeerError::NoAnswer(status.message().to_owned()),
    }
}

fn is_connect_error(status: &Status) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}
