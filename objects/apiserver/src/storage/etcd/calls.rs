//! One call to a store: deadline, next endpoint, what an error means.
//!
//! Invariants: reads are repeated until the deadline; a write is repeated only when it certainly
//! was not sent.
//!
//! Must not know: what the messages say.

use std::error::Error as _;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, LeaseGrantRequest, LeaseGrantResponse, RangeRequest,
    RangeResponse, TxnRequest, TxnResponse,
};
use proto::status::EtcdError;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use tokio::time::Instant;
use tonic::{Code, Response, Status};

use super::endpoints::{Endpoints, GrpcService, Picked};
use crate::storage::{Outcome, Revision, StorageError};

/// The pause before another try, once all endpoints were tried.
const PAUSE: Duration = Duration::from_millis(50);
/// Values and pages may be large: etcd answers as much as it is asked for.
const ANSWER_BYTES_MAX: usize = 1 << 30;

/// An answer on its way.
type Sent<T> = BoxFuture<'static, Result<Response<T>, Status>>;

/// What may be done about a call that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// It changes nothing.
    Read,
    /// It does.
    Write,
}

/// The calls to a store.
pub(super) struct Calls {
    endpoints: Endpoints,
    deadline: Duration,
}

impl Calls {
    pub(super) fn new(endpoints: Endpoints, deadline: Duration) -> Self {
        Calls { endpoints, deadline }
    }

    pub(super) async fn range(&self, request: RangeRequest) -> Result<RangeResponse, StorageError> {
        let send = move |service| -> Sent<_> {
            let request = request.clone();
            async move { kv(service).range(request).await }.boxed()
        };
        self.call(Nature::Read, send).await
    }

    pub(super) async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, StorageError> {
        let send = move |service| -> Sent<_> {
            let request = request.clone();
            async move { kv(service).txn(request).await }.boxed()
        };
        self.call(Nature::Write, send).await
    }

    pub(super) async fn compact(
        &self,
        request: CompactionRequest,
    ) -> Result<CompactionResponse, StorageError> {
        let send =
            move |service| -> Sent<_> { async move { kv(service).compact(request).await }.boxed() };
        self.call(Nature::Write, send).await
    }

    /// Granting is repeated like a read: a lease too many expires by itself.
    pub(super) async fn grant(
        &self,
        request: LeaseGrantRequest,
    ) -> Result<LeaseGrantResponse, StorageError> {
        let send = move |service| -> Sent<_> {
            async move { LeaseClient::new(service).lease_grant(request).await }.boxed()
        };
        self.call(Nature::Read, send).await
    }

    /// The endpoint to open a watch on, and the time it may take.
    pub(super) fn pick(&self) -> (Picked, Duration) {
        (self.endpoints.pick(), self.deadline)
    }

    pub(super) fn failed(&self, picked: &Picked) {
        self.endpoints.failed(picked);
    }

    async fn call<T>(
        &self,
        nature: Nature,
        send: impl Fn(GrpcService) -> Sent<T> + Send,
    ) -> Result<T, StorageError> {
        let end = Instant::now() + self.deadline;
        let mut tries = 0;
        loop {
            let picked = self.endpoints.pick();
            let sent = tokio::time::timeout_at(end, send(picked.service.clone())).await;
            let status = match sent {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => {
                    self.endpoints.failed(&picked);
                    return Err(timed_out(nature));
                }
            };
            let error = error(&status, nature);
            let transient =
                matches!(error, StorageError::Unavailable { .. } | StorageError::Overloaded { .. });
            if matches!(error, StorageError::Unavailable { .. }) {
                self.endpoints.failed(&picked);
            }
            if !transient || !error.may_retry() || Instant::now() + PAUSE >= end {
                return Err(error);
            }
            tries += 1;
            if tries % self.endpoints.len() == 0 {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn kv(service: GrpcService) -> KvClient<GrpcService> {
    KvClient::new(service).max_decoding_message_size(ANSWER_BYTES_MAX)
}

fn timed_out(nature: Nature) -> StorageError {
    let outcome = match nature {
        Nature::Read => Outcome::NotApplied,
        Nature::Write => Outcome::Unknown,
    };
    StorageError::Unavailable { reason: "no answer in time".to_owned(), outcome }
}

/// What a watch's or a read's status means.
pub(super) fn read_error(status: &Status) -> StorageError {
    error(status, Nature::Read)
}

fn error(status: &Status, nature: Nature) -> StorageError {
    let reason = status.message().to_owned();
    match EtcdError::from_message(status.message()) {
        Some(EtcdError::Compacted) => return StorageError::Compacted { compacted: Revision::NONE },
        Some(EtcdError::FutureRevision) => return StorageError::FutureRevision,
        Some(EtcdError::NoSpace) => return StorageError::NoSpace,
        Some(EtcdError::RequestTooLarge) => return StorageError::TooLarge { reason },
        Some(EtcdError::TooManyRequests) => return StorageError::Overloaded { reason },
        _ => {}
    }
    let outcome = match nature {
        Nature::Read => Outcome::NotApplied,
        Nature::Write if was_not_sent(status) => Outcome::NotApplied,
        Nature::Write => Outcome::Unknown,
    };
    match status.code() {
        // grpc-go refuses a message above its limit with this code.
        Code::ResourceExhausted => StorageError::TooLarge { reason },
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::NotFound
        | Code::OutOfRange
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented => StorageError::Refused { reason },
        _ => StorageError::Unavailable { reason: told(status), outcome },
    }
}

/// Whether the request cannot have reached a server: no connection could be made.
fn was_not_sent(status: &Status) -> bool {
    std::iter::successors(status.source(), |error| (*error).source())
        .any(|error| error.downcast_ref::<tonic::ConnectError>().is_some())
}

/// The status' words with those of what caused it: tonic's own are only "transport error".
fn told(status: &Status) -> String {
    let mut words = status.message().to_owned();
    let causes = std::iter::successors(status.source(), |error| (*error).source());
    for cause in causes.map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_store_say_what_can_be_done() {
        let etcd = |error: EtcdError| Status::new(Code::from(error.code() as i32), error.message());
        let unknown = |status: Status| error(&status, Nature::Write);
        assert!(matches!(unknown(etcd(EtcdError::Compacted)), StorageError::Compacted { .. }));
        assert_eq!(unknown(etcd(EtcdError::NoSpace)), StorageError::NoSpace);
        assert!(matches!(unknown(etcd(EtcdError::RequestTooLarge)), StorageError::TooLarge { .. }));
        assert!(unknown(etcd(EtcdError::TooManyRequests)).may_retry());
        assert!(matches!(unknown(etcd(EtcdError::PermissionDenied)), StorageError::Refused { .. }));
    }

    #[test]
    fn a_write_whose_connection_broke_is_never_called_safe_to_repeat() {
        let broken = Status::unavailable("connection reset");
        assert!(!error(&broken, Nature::Write).may_retry());
        assert!(error(&broken, Nature::Read).may_retry());
        let mut refused = Status::unavailable("transport error");
        refused.set_source(std::sync::Arc::new(tonic::ConnectError("refused".into())));
        assert!(error(&refused, Nature::Write).may_retry());
    }
}
