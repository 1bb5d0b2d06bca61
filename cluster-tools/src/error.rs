//! What can go wrong for an operator's command, and the exit code that says so.
//!
//! Exit codes are etcdctl's (pkg/cobrautl): scripts that test them keep working.

/// The end of a failed command.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// The arguments or the text on standard input make no sense; nothing was sent.
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
    #[error("{}", .0.message())]
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
}

impl ToolError {
    /// The process's exit code: 1 error, 2 bad connection, 3 invalid input, 5 not healthy, 6 input
    /// or output.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Rpc(status) if status.code() == tonic::Code::Unavailable => 2,
            Self::Rpc(_) | Self::Damaged(_) => 1,
            Self::Connection { .. } => 2,
            Self::Usage(_) => 3,
            Self::Unhealthy(_) => 5,
            Self::Io(_) => 6,
        }
    }

    /// The next thing to try, where there is one.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        match self {
            Self::Connection { .. } => Some(
                "Is the server running? `engram dev` starts one; `--endpoints` or ETCDCTL_ENDPOINTS \
                 name another."
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ToolError;

    #[test]
    fn exit_codes_are_etcdctls() {
        let connection =
            ToolError::Connection { endpoint: "127.0.0.1:1".into(), reason: "refused".into() };
        assert_eq!(connection.exit_code(), 2);
        assert_eq!(ToolError::Usage("no key".into()).exit_code(), 3);
        assert_eq!(ToolError::Rpc(tonic::Status::unavailable("gone")).exit_code(), 2);
        assert_eq!(ToolError::Rpc(tonic::Status::not_found("no lease")).exit_code(), 1);
        assert!(connection.advice().is_some());
    }
}
