//! gRPC's status codes, without a gRPC library.
//!
//! Invariant: the numbers are gRPC's, so a code converts to any library's by its number.
//!
//! Must not know: which error has which code.

/// A gRPC status code; `code as i32` is the number on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i32)]
pub enum Code {
    /// The call succeeded.
    Ok = 0,
    /// The caller gave up.
    Cancelled = 1,
    /// An error without a code.
    Unknown = 2,
    /// The request can never succeed.
    InvalidArgument = 3,
    /// Time ran out.
    DeadlineExceeded = 4,
    /// The named thing does not exist.
    NotFound = 5,
    /// The thing exists already.
    AlreadyExists = 6,
    /// The caller is known and may not.
    PermissionDenied = 7,
    /// A limit or quota is used up.
    ResourceExhausted = 8,
    /// The state does not allow it.
    FailedPrecondition = 9,
    /// A conflict with another call.
    Aborted = 10,
    /// Beyond the valid range.
    OutOfRange = 11,
    /// The call is not offered.
    Unimplemented = 12,
    /// An invariant does not hold.
    Internal = 13,
    /// Not now; a retry may help.
    Unavailable = 14,
    /// Data is lost or damaged.
    DataLoss = 15,
    /// The caller is not known.
    Unauthenticated = 16,
}
