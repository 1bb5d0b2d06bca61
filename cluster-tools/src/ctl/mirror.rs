//! `make-mirror`: copies keys to another cluster and keeps following.
//!
//! Invariants: what one revision changed at the source is one transaction at the destination,
//! unless it has more operations than `--max-txn-ops`; the base is read at one revision and the
//! watch begins right behind it. Revisions and leases are not carried over, as `ctl migrate` does.
//!
//! Must not know: what the keys mean.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::{ArgAction, Args};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::mvccpb::event::EventType;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::watch_client::WatchClient;

use super::flags::login;
use super::global::Global;
use super::range::prefix_end;
use super::show::notice;
use crate::ToolError;
use crate::catalogue::Id;
use crate::wire::{Wire, tls};

/// Options of `make-mirror`.
#[derive(Debug, Args)]
pub(crate) struct Mirror {
    /// The endpoint to copy to.
    destination: String,
    /// Copy only keys that begin with this.
    #[arg(long, default_value = "")]
    prefix: String,
    /// Begin with the changes of this revision, without a copy of what is there.
    #[arg(long, default_value_t = 0)]
    rev: i64,
    /// Operations in one transaction at the destination.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    max_txn_ops: u32,
    /// What the prefix becomes at the destination.
    #[arg(long, conflicts_with = "no_dest_prefix")]
    dest_prefix: Option<String>,
    /// Drop the prefix at the destination.
    #[arg(long)]
    no_dest_prefix: bool,
    /// The client's certificate for the destination (PEM).
    #[arg(long)]
    dest_cert: Option<PathBuf>,
    /// Its key (PEM).
    #[arg(long)]
    dest_key: Option<PathBuf>,
    /// The CAs of the destination (PEM).
    #[arg(long)]
    dest_cacert: Option<PathBuf>,
    /// Whether a destination without a scheme is plain.
    #[arg(
        long,
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true"
    )]
    dest_insecure_transport: bool,
    /// The user at the destination, with a prompt for the password.
    #[arg(long)]
    dest_user: Option<String>,
    /// That user's password; others can see it.
    #[arg(long, env = "ETCDCTL_DEST_PASSWORD", hide_env_values = true)]
    dest_password: Option<String>,
}

/// Keys in one read of the base.
const PAGE_KEYS: i64 = 1000;

/// Time between two lines of progress; etcdctl's.
const PROGRESS: Duration = Duration::from_secs(30);

pub(crate) async fn run(global: &Global, mirror: Mirror) -> Result<(), ToolError> {
    let mut source = global.clone();
    source.dialing.request_timeout = None;
    let mut destination = mirror.destination(global)?.kv().await?;
    let copied = Arc::new(AtomicU64::new(0));
    let progress = {
        let copied = Arc::clone(&copied);
        async move {
            let mut every = tokio::time::interval(PROGRESS);
            every.tick().await;
            loop {
                every.tick().await;
                // Compat: etcdctl prints the bare number, and scripts wait for it.
                super::show::line(copied.load(Ordering::Relaxed).to_string())?;
            }
        }
    };
    let work = async {
        let mut from = mirror.rev;
        if from <= 0 {
            from = 1 + mirror.base(&source, &mut destination, &copied).await?;
            notice(format!("{} keys copied; following", copied.load(Ordering::Relaxed)));
        }
        mirror.follow(&source, &mut destination, from, &copied).await
    };
    tokio::select! {
        ended = work => ended,
        ended = progress => ended,
    }
}

impl Mirror {
    fn destination(&self, global: &Global) -> Result<Global, ToolError> {
        let files = tls::Files {
            cacert: self.dest_cacert.clone(),
            cert: self.dest_cert.clone(),
            key: self.dest_key.clone(),
            skip_verify: false,
        };
        let mut destination = global.clone();
        destination.endpoints = vec![self.destination.clone()];
        destination.dialing.tls = files.any().then(|| files.config()).transpose()?;
        destination.dialing.tls_by_default = files.any() || !self.dest_insecure_transport;
        destination.login = login(self.dest_user.clone(), self.dest_password.clone(), None)?;
        Ok(destination)
    }

    fn range(&self) -> (Vec<u8>, Vec<u8>) {
        let prefix = self.prefix.as_bytes();
        let start = if prefix.is_empty() { vec![0] } else { prefix.to_vec() };
        (start, prefix_end(prefix))
    }

    /// The key at the destination.
    fn moved(&self, key: &[u8]) -> Vec<u8> {
        let kept = if self.no_dest_prefix {
            &[]
        } else {
            self.dest_prefix.as_ref().unwrap_or(&self.prefix).as_bytes()
        };
        [kept, key.strip_prefix(self.prefix.as_bytes()).unwrap_or(key)].concat()
    }

    /// Copies what is there; the revision that it was read at.
    async fn base(
        &self,
        source: &Global,
        destination: &mut KvClient<Wire>,
        copied: &AtomicU64,
    ) -> Result<i64, ToolError> {
        let mut client = source.kv().await?;
        let (mut key, range_end) = self.range();
        let mut revision = 0;
        loop {
            let request = pb::RangeRequest {
                key: key.clone().into(),
                range_end: range_end.clone().into(),
                limit: PAGE_KEYS,
                revision,
                ..pb::RangeRequest::default()
            };
            let page = client.range(request).await?.into_inner();
            if revision == 0 {
                revision = page.header.map_or(0, |header| header.revision);
            }
            let Some(last) = page.kvs.last() else { return Ok(revision) };
            key = [&last.key[..], &[0]].concat();
            for part in page.kvs.chunks(self.max_txn_ops as usize) {
                let puts = part.iter().map(|kv| self.put(&kv.key, &kv.value)).collect();
                commit(destination, puts, copied).await?;
            }
            if !page.more {
                return Ok(revision);
            }
        }
    }

    fn put(&self, key: &[u8], value: &bytes::Bytes) -> Request {
        Request::RequestPut(pb::PutRequest {
            key: self.moved(key).into(),
            value: value.clone(),
            ..pb::PutRequest::default()
        })
    }

    async fn follow(
        &self,
        source: &Global,
        destination: &mut KvClient<Wire>,
        from: i64,
        copied: &AtomicU64,
    ) -> Result<(), ToolError> {
        let (key, range_end) = self.range();
        let create = pb::WatchCreateRequest {
            key: key.into(),
            range_end: range_end.into(),
            start_revision: from,
            ..pb::WatchCreateRequest::default()
        };
        let request = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        let requests =
            futures::StreamExt::chain(tokio_stream::once(request), futures::stream::pending());
        let client = WatchClient::new(source.channel().await?);
        let mut client = client.max_decoding_message_size(usize::MAX);
        let mut answers = client.watch(requests).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            if answer.canceled {
                let reason = if answer.compact_revision > 0 {
                    "etcdserver: mvcc: required revision has been compacted"
                } else {
                    &answer.cancel_reason
                };
                return Err(ToolError::of(Id::WatchCanceled, reason));
            }
            let mut pending: Vec<Request> = Vec::new();
            let mut last = 0;
            for event in &answer.events {
                let Some(kv) = &event.kv else { continue };
                let is_next = last != 0 && kv.mod_revision > last;
                if is_next || pending.len() == self.max_txn_ops as usize {
                    commit(destination, std::mem::take(&mut pending), copied).await?;
                }
                last = kv.mod_revision;
                pending.push(if event.r#type == EventType::Delete as i32 {
                    let key = self.moved(&kv.key).into();
                    Request::RequestDeleteRange(pb::DeleteRangeRequest {
                        key,
                        ..Default::default()
                    })
                } else {
                    self.put(&kv.key, &kv.value)
                });
            }
            commit(destination, pending, copied).await?;
        }
        Err(tonic::Status::unavailable("the watch stream ended").into())
    }
}

async fn commit(
    destination: &mut KvClient<Wire>,
    requests: Vec<Request>,
    copied: &AtomicU64,
) -> Result<(), ToolError> {
    if requests.is_empty() {
        return Ok(());
    }
    let count = requests.len() as u64;
    let success =
        requests.into_iter().map(|request| pb::RequestOp { request: Some(request) }).collect();
    destination.txn(pb::TxnRequest { success, ..pb::TxnRequest::default() }).await?;
    copied.fetch_add(count, Ordering::Relaxed);
    Ok(())
}
