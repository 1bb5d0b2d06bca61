//! What can go wrong for an operator's command, and the exit code that says so.
//!
//! Invariant: every error has an entry in [`crate::catalogue`]: a stable id, a cause and a next
//! step. Exit codes are etcdctl's (pkg/cobrautl): scripts that test them keep working.

use crate::catalogue::{self, Entry, Id};

/// The end of a failed command.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The arguments make no sense; nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// No endpoint could be reached; nothing was sent.
    #[error("cannot reach {endpoint}: {reason}")]
    Connection {
        /// The endpoint as it was given.
        endpoint: String,
        /// The transport's words.
        reason: String,
    },
    /// The server answered with an error.
    #[error("{}", said(.0))]
    Rpc(#[from] tonic::Status),
    /// Some members answered badly or not at all; the table printed says which.
    #[error("{0}")]
    Unhealthy(String),
    /// Reading a file, or writing to standard output, failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A member's files are damaged, or are not what they should be.
    #[error("{0}")]
    Damaged(String),
    /// Any other error of the catalogue.
    #[error("{text}")]
    Of {
        /// Its entry in the catalogue.
        id: Id,
        /// What happened, with the names of this case.
        text: String,
    },
    /// A verdict that was printed already: nothing more is said.
    #[error("exit code {0}")]
    Verdict(u8),
}

impl ToolError {
    /// An error of the catalogue.
    pub fn of(id: Id, text: impl Into<String>) -> Self {
        Self::Of { id, text: text.into() }
    }

    /// The entry of the catalogue that explains this error.
    #[must_use]
    pub fn entry(&self) -> &'static Entry {
        catalogue::entry(match self {
            Self::Usage(_) => Id::Usage,
            Self::Connection { reason, .. } => catalogue::of_connection(reason),
            Self::Rpc(status) => match transport(status) {
                Some(reason) if catalogue::of_connection(&reason) == Id::Tls => Id::Tls,
                Some(_) => Id::Unavailable,
                None => catalogue::of_status(status.code(), status.message()),
            },
            Self::Unhealthy(_) | Self::Verdict(_) => Id::Unhealthy,
            Self::Io(_) => Id::Io,
            Self::Damaged(_) => Id::Damaged,
            Self::Of { id, .. } => *id,
        })
    }

    /// The process's exit code; the catalogue says which error has which.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Verdict(code) => *code,
            error => error.entry().exit_code,
        }
    }
}

/// What the transport says of a call that never got an answer of the server.
fn transport(status: &tonic::Status) -> Option<String> {
    let source = std::error::Error::source(status)?;
    let is_ours = source.is::<tonic::transport::Error>() || status.message() == "transport error";
    is_ours.then(|| crate::wire::innermost(source))
}

/// The server's words, or the transport's where there are none.
fn said(status: &tonic::Status) -> String {
    transport(status).unwrap_or_else(|| status.message().to_owned())
}

#[cfg(test)]
mod tests {
    use super::ToolError;

    #[test]
    fn exit_codes_are_etcdctls() {
        let connection =
            ToolError::Connection { endpoint: "127.0.0.1:1".into(), reason: "refused".into() };
        assert_eq!(connection.exit_code(), 2);
        assert_eq!(ToolError::Usage("no key".into()).exit_code(), 128);
        assert_eq!(ToolError::Rpc(tonic::Status::unavailable("gone")).exit_code(), 2);
        assert_eq!(ToolError::Rpc(tonic::Status::not_found("no lease")).exit_code(), 1);
        assert_eq!(ToolError::Verdict(2).exit_code(), 2);
    }

    #[test]
    fn a_password_that_failed_is_named_by_its_id_only() {
        let status = tonic::Status::invalid_argument(
            "etcdserver: authentication failed, invalid user ID or password",
        );
        assert_eq!(ToolError::Rpc(status).entry().id, "E-CTL-021");
    }
}
