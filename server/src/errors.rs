//! From what went wrong inside to what the wire says: the one mapping of this door.
//!
//! Invariants: clients find an error by its text, so texts come from `proto::status` and nowhere
//! else; an accepted command is never answered with an error that says it was not.
//! Must not know: which request it was.

use proto::status::EtcdError;
use raft::{ProposeError, ReadIndexError, TransferError};
use store::{ApplyError, ReadError, StorageError};
use tonic::{Code, Status};

/// The gRPC status of a row of etcd's table.
pub(crate) fn status(error: EtcdError) -> Status {
    Status::new(Code::from_i32(error.code() as i32), error.message())
}

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A row of etcd's table.
    #[error("{0}")]
    Etcd(EtcdError),
    /// A word of etcd's that is not in its table: clients get it as UNKNOWN.
    #[error("{0}")]
    Unknown(&'static str),
    /// The call or one of its options is not offered.
    #[error("{0}")]
    Unimplemented(&'static str),
    /// The member's storage failed; the member stops.
    #[error("storage: {0}")]
    Storage(String),
}

impl From<EtcdError> for ServeError {
    fn from(error: EtcdError) -> Self {
        ServeError::Etcd(error)
    }
}

impl From<ApplyError> for ServeError {
    fn from(error: ApplyError) -> Self {
        ServeError::Etcd(error.0)
    }
}

impl From<ProposeError> for ServeError {
    fn from(error: ProposeError) -> Self {
        ServeError::Etcd(error.etcd_error())
    }
}

impl From<ReadIndexError> for ServeError {
    fn from(error: ReadIndexError) -> Self {
        ServeError::Etcd(error.etcd_error())
    }
}

impl From<TransferError> for ServeError {
    fn from(error: TransferError) -> Self {
        ServeError::Etcd(error.etcd_error())
    }
}

impl From<StorageError> for ServeError {
    fn from(error: StorageError) -> Self {
        ServeError::Storage(error.to_string())
    }
}

impl From<ReadError> for ServeError {
    fn from(error: ReadError) -> Self {
        match error.etcd() {
            Some(known) => ServeError::Etcd(known),
            None => ServeError::Storage(error.to_string()),
        }
    }
}

impl From<ServeError> for Status {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Etcd(error) => status(error),
            ServeError::Unknown(text) => Status::unknown(text),
            ServeError::Unimplemented(text) => Status::unimplemented(text),
            ServeError::Storage(text) => Status::internal(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_keeps_its_code_and_text() {
        for error in EtcdError::ALL {
            let answer = Status::from(ServeError::from(*error));
            assert_eq!(answer.code() as i32, error.code() as i32, "{error}");
            assert_eq!(answer.message(), error.message());
        }
    }

    #[test]
    fn proposals_without_an_outcome_are_told_as_etcd_tells_them() {
        let rows = [
            (ProposeError::NoLeader, Code::Unavailable, "etcdserver: no leader"),
            (
                ProposeError::TooManyRequests,
                Code::ResourceExhausted,
                "etcdserver: too many requests",
            ),
            (ProposeError::TooLarge, Code::InvalidArgument, "etcdserver: request is too large"),
            (ProposeError::TimedOut, Code::Unavailable, "etcdserver: request timed out"),
            (ProposeError::Stopped, Code::Unavailable, "etcdserver: server stopped"),
        ];
        for (error, code, text) in rows {
            let answer = Status::from(ServeError::from(error));
            assert_eq!((answer.code(), answer.message()), (code, text));
        }
    }
}
