//! The storage over etcd's gRPC API: any etcd v3, remote or in this process.
//!
//! The way of a call: prefix the key → pick an endpoint → send with a deadline → map the answer or
//! the error. A remote endpoint is a lazily connected channel; a store in this process is one boxed
//! gRPC service, so both take the same path.
//!
//! Invariants: a read is sent again, to the next endpoint, until its deadline; a write is sent
//! again only when it certainly did not reach a server.
//!
//! Must not know: how the store works, Kubernetes.

mod calls;
mod endpoints;
mod leases;
mod messages;
mod shared_read;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use proto::etcdserverpb::{CompactionRequest, RangeRequest, TxnRequest};

pub use endpoints::{GrpcService, ServiceError};

use self::calls::Calls;
use self::endpoints::Endpoints;
use self::leases::Leases;
use self::messages::Keys;
use self::shared_read::SharedRead;
use super::compaction::RECORD_KEY;
use super::{
    CompactionRound, Got, Page, PageAnswer, Revision, Storage, StorageError, WatchFrom, Watching,
    Written,
};

/// How a store is reached.
#[derive(Debug, Clone)]
pub struct EtcdOptions {
    /// What all keys begin with: kube-apiserver's `--etcd-prefix`.
    pub prefix: String,
    /// The most time a call may take, all endpoints together.
    pub deadline: Duration,
}

impl Default for EtcdOptions {
    fn default() -> Self {
        EtcdOptions { prefix: "/registry".to_owned(), deadline: Duration::from_secs(10) }
    }
}

/// A storage over etcd's gRPC API. Clones share everything.
#[derive(Clone)]
pub struct EtcdStorage(Arc<Inner>);

struct Inner {
    keys: Keys,
    calls: Calls,
    leases: Leases,
    revision: SharedRead,
}

impl EtcdStorage {
    /// Over remote endpoints, given as `http://host:port`; a plain `host:port` is one as well.
    /// Nothing is connected yet.
    ///
    /// *Errors*: no endpoint, one that cannot be read, or one with `https`.
    pub fn remote(endpoints: &[String], options: EtcdOptions) -> Result<Self, StorageError> {
        Ok(Self::over(Endpoints::remote(endpoints)?, options))
    }

    /// Over the services of a store in this process.
    #[must_use]
    pub fn in_process(service: GrpcService, options: EtcdOptions) -> Self {
        Self::over(Endpoints::one(service), options)
    }

    fn over(endpoints: Endpoints, options: EtcdOptions) -> Self {
        EtcdStorage(Arc::new(Inner {
            keys: Keys::new(&options.prefix),
            calls: Calls::new(endpoints, options.deadline),
            leases: Leases::default(),
            revision: SharedRead::default(),
        }))
    }
}

impl Inner {
    async fn range(&self, request: RangeRequest) -> Result<PageAnswer, StorageError> {
        let asked = Revision::of(request.revision);
        let answer = self.calls.range(request).await?;
        Ok(self.keys.page(answer, asked))
    }

    /// Sends a transaction; one whose lease is gone is sent again with a new one, since nothing
    /// was written.
    async fn write(
        &self,
        key: &str,
        expected: Revision,
        value: Option<Bytes>,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        let mut again = true;
        loop {
            let lease = match ttl {
                Some(ttl) => self.leases.lease(&self.calls, ttl).await?,
                None => 0,
            };
            let request = match &value {
                Some(value) => self.keys.put(key, expected, value.clone(), lease),
                None => self.keys.delete(key, expected),
            };
            match self.calls.txn(request).await {
                Err(error) if again && lease != 0 && leases::is_gone(&error) => {
                    again = false;
                    self.leases.forget(lease).await;
                }
                answer => return Ok(self.keys.written(answer?)),
            }
        }
    }

    async fn round(&self, known: CompactionRound) -> Result<CompactionRound, StorageError> {
        let request: TxnRequest = messages::record(RECORD_KEY, known);
        Ok(messages::round(self.calls.txn(request).await?, known))
    }
}

#[async_trait]
impl Storage for EtcdStorage {
    async fn get(&self, key: &str) -> Result<Got, StorageError> {
        let answer = self.0.range(self.0.keys.get(key)).await?;
        Ok(Got { stored: answer.items.into_iter().next(), revision: answer.revision })
    }

    async fn page(&self, page: Page<'_>) -> Result<PageAnswer, StorageError> {
        self.0.range(self.0.keys.range(page)).await
    }

    async fn create(
        &self,
        key: &str,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        self.0.write(key, Revision::NONE, Some(value), ttl).await
    }

    async fn replace(
        &self,
        key: &str,
        expected: Revision,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<Written, StorageError> {
        self.0.write(key, expected, Some(value), ttl).await
    }

    async fn delete_if(&self, key: &str, expected: Revision) -> Result<Written, StorageError> {
        self.0.write(key, expected, None, None).await
    }

    async fn watch(&self, watch: WatchFrom<'_>) -> Result<Watching, StorageError> {
        watching::open(&self.0.calls, self.0.keys.clone(), watch).await
    }

    async fn current_revision(&self) -> Result<Revision, StorageError> {
        let inner = Arc::clone(&self.0);
        self.0
            .revision
            .read(async move { Ok(inner.range(inner.keys.revision()).await?.revision) })
            .await
    }

    async fn compact(&self, revision: Revision) -> Result<(), StorageError> {
        let request = CompactionRequest { revision: revision.signed(), physical: false };
        self.0.calls.compact(request).await.map(drop)
    }

    async fn compaction_round(
        &self,
        known: CompactionRound,
    ) -> Result<CompactionRound, StorageError> {
        self.0.round(known).await
    }
}
