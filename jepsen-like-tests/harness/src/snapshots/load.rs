//! Writes that go on until the server is killed: puts, transactions, deletions, leases and their
//! ends, compactions.
//!
//! Invariant: what was answered is counted only after the answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request as Op;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use services::etcdserverpb::auth_client::AuthClient;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use tokio::task::JoinHandle;
use tonic::Request;
use tonic::transport::Channel;

use crate::process::{POLL, dial};

/// How long so many writes may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// Writers of one server.
pub(super) struct Load {
    writers: Vec<JoinHandle<()>>,
    seen: Arc<Seen>,
}

/// What was answered.
#[derive(Default)]
struct Seen {
    writes: AtomicU64,
    revision: AtomicI64,
    /// No compaction is asked for any more.
    keeps_all: AtomicBool,
}

/// A token of a user.
pub(super) async fn token(url: &str, name: &str, password: &str) -> Result<String> {
    let request = pb::AuthenticateRequest { name: name.to_owned(), password: password.to_owned() };
    let answer = AuthClient::new(dial(url).await?).authenticate(request).await?;
    Ok(answer.into_inner().token)
}

impl Load {
    /// Begins to write, with a token where the server wants one.
    pub(super) async fn begin(url: &str, token: Option<&str>, seed: u64) -> Result<Self> {
        let seen = Arc::new(Seen::default());
        let channel = dial(url).await?;
        let writer = |number: u64| {
            let writer = Writer {
                kv: KvClient::new(channel.clone()),
                leases: LeaseClient::new(channel.clone()),
                token: token.map(str::to_owned),
                dice: ChaCha8Rng::seed_from_u64(seed + number),
                number,
                seen: Arc::clone(&seen),
            };
            tokio::spawn(writer.write())
        };
        Ok(Self { writers: (0..4).map(writer).collect(), seen })
    }

    /// Waits until so many writes were answered.
    pub(super) async fn reach(&self, writes: u64) -> Result<()> {
        let deadline = Instant::now() + DEADLINE;
        while self.seen.writes.load(Ordering::Acquire) < writes {
            ensure!(Instant::now() < deadline, "the server answers too few writes");
            ensure!(!self.writers.iter().all(JoinHandle::is_finished), "no writer goes on");
            crate::pause::pause(POLL).await;
        }
        Ok(())
    }

    /// Compacts no more, since etcd writes its database out then, and waits for so many writes that
    /// are in its log alone.
    pub(super) async fn leave_behind(&self, writes: u64) -> Result<()> {
        self.seen.keeps_all.store(true, Ordering::Release);
        self.reach(self.seen.writes.load(Ordering::Acquire) + writes).await
    }

    /// Waits for the writers, whose server is gone; the newest revision that one was told.
    pub(super) async fn end(self) -> Result<i64> {
        for writer in self.writers {
            writer.await.context("a writer broke")?;
        }
        Ok(self.seen.revision.load(Ordering::Acquire))
    }
}

struct Writer {
    kv: KvClient<Channel>,
    leases: LeaseClient<Channel>,
    token: Option<String>,
    dice: ChaCha8Rng,
    number: u64,
    seen: Arc<Seen>,
}

impl Writer {
    async fn write(mut self) {
        let mut count = 0;
        while let Some(revision) = self.step(count).await {
            self.seen.revision.fetch_max(revision, Ordering::AcqRel);
            self.seen.writes.fetch_add(1, Ordering::AcqRel);
            count += 1;
        }
    }

    fn ask<M>(&self, message: M) -> Request<M> {
        let mut request = Request::new(message);
        if let Some(token) = &self.token {
            let token = token.parse().expect("a token is plain text");
            request.metadata_mut().insert("token", token);
        }
        request
    }

    /// One write. `None`: the server is gone.
    async fn step(&mut self, count: i64) -> Option<i64> {
        let key = format!("key/{}", self.dice.random_range(0..50));
        let header = match self.dice.random_range(0..20_u8) {
            17..19 => return self.lease(&key, count).await,
            19 if !self.seen.keeps_all.load(Ordering::Acquire) => return self.compact().await,
            0..10 | 19.. => {
                let put = self.ask(self.put(&key, 0));
                self.kv.put(put).await.ok()?.into_inner().header
            }
            10..13 => {
                let delete = pb::DeleteRangeRequest { key: key.into(), ..Default::default() };
                let delete = self.ask(delete);
                self.kv.delete_range(delete).await.ok()?.into_inner().header
            }
            13..17 => {
                let txn = self.ask(self.txn(&key));
                self.kv.txn(txn).await.ok()?.into_inner().header
            }
        };
        Some(header.unwrap_or_default().revision)
    }

    fn put(&self, key: &str, lease: i64) -> pb::PutRequest {
        let value = format!("{} of writer {}", key, self.number);
        pb::PutRequest {
            key: key.to_owned().into(),
            value: value.into(),
            lease,
            ..Default::default()
        }
    }

    fn txn(&self, key: &str) -> pb::TxnRequest {
        let op = |request| pb::RequestOp { request: Some(request) };
        let compare = pb::Compare {
            result: pb::compare::CompareResult::Greater.into(),
            target: pb::compare::CompareTarget::Version.into(),
            key: key.to_owned().into(),
            target_union: Some(pb::compare::TargetUnion::Version(0)),
            ..Default::default()
        };
        let delete = pb::DeleteRangeRequest { key: key.to_owned().into(), ..Default::default() };
        pb::TxnRequest {
            compare: vec![compare],
            success: vec![
                op(Op::RequestDeleteRange(delete)),
                op(Op::RequestPut(self.put("txn/taken", 0))),
            ],
            failure: vec![
                op(Op::RequestPut(self.put(key, 0))),
                op(Op::RequestPut(self.put("txn/given", 0))),
            ],
        }
    }

    /// A lease with a key; every second one ends again, with its key.
    async fn lease(&mut self, key: &str, count: i64) -> Option<i64> {
        let id = 1_000_000 * (1 + self.number.cast_signed()) + count;
        let grant = self.ask(pb::LeaseGrantRequest { id, ttl: 3600 });
        self.leases.lease_grant(grant).await.ok()?;
        let put = self.ask(self.put(key, id));
        let header = self.kv.put(put).await.ok()?.into_inner().header;
        if count % 2 == 0 {
            let revoke = self.ask(pb::LeaseRevokeRequest { id });
            return Some(
                self.leases.lease_revoke(revoke).await.ok()?.into_inner().header?.revision,
            );
        }
        Some(header?.revision)
    }

    /// A compaction a little below; one that another writer's was above is refused, and counts.
    async fn compact(&mut self) -> Option<i64> {
        let revision = self.seen.revision.load(Ordering::Acquire) - 40;
        let request = self.ask(pb::CompactionRequest { revision, physical: false });
        match self.kv.compact(request).await {
            Ok(answer) => Some(answer.into_inner().header?.revision),
            Err(status) if status.code() == tonic::Code::OutOfRange => Some(revision),
            Err(_) => None,
        }
    }
}
