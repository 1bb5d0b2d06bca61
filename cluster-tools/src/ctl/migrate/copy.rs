//! The first copy: page by page, each compared with what the target has there.
//!
//! Invariant: after a page, every key up to its end is the source's of the page's moment or newer;
//! changes taken between pages keep it so. A copy that was broken off is gone through again, and
//! only what differs is written.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request;
use proto::mvccpb::KeyValue;

use super::Work;
use super::feed::Feed;
use crate::ToolError;
use crate::catalogue::Id;

/// How long changes are waited for between pages.
const SOON: Duration = Duration::from_millis(1);
/// Keys read at a time.
const PAGE_KEYS: i64 = 500;
/// Operations in one transaction: etcd's default allows 128.
pub(super) const OPS_MAX: usize = 100;
/// *Units*: bytes of keys and values in one transaction: etcd's default allows 1.5 MiB.
const OPS_BYTES_MAX: usize = 1 << 20;

impl Work {
    /// Copies everything in the range.
    ///
    /// *Errors*: the target has keys that the source has not, unless they are to be replaced.
    pub(super) async fn copy(&mut self, feed: &mut Feed, replace: bool) -> Result<(), ToolError> {
        self.bar.set_length(self.from.count(&self.range).await?);
        let (mut key, end) = (self.range.first(), self.range.end());
        loop {
            let page = self.from.page(key.clone(), end.clone(), PAGE_KEYS, 0).await?;
            let next = page.kvs.last().map(|kv| [&kv.key[..], &[0]].concat());
            let page_end = match (&next, page.more) {
                (Some(next), true) => next.clone(),
                _ => end.clone(),
            };
            self.reconcile(key, page_end, &page.kvs, replace).await?;
            self.bar.inc(page.kvs.len() as u64);
            self.leases.renew_when_due(&self.from, &self.to).await?;
            // What changed behind the cursor counts; what changed before it will be read newer.
            while let Some(news) = feed.next(SOON).await? {
                let behind = next.as_deref().filter(|_| page.more);
                self.take_behind(news, behind).await?;
            }
            match next {
                Some(next) if page.more => key = next,
                _ => break,
            }
        }
        self.say(format_args!("copied {} keys", self.bar.position()));
        Ok(())
    }

    /// Applies the changes of keys below the cursor; `None`: of all.
    async fn take_behind(
        &mut self,
        mut news: super::feed::News,
        cursor: Option<&[u8]>,
    ) -> Result<(), ToolError> {
        if let Some(cursor) = cursor {
            let key = |event: &proto::mvccpb::Event| event.kv.as_ref().map(|kv| kv.key.clone());
            news.events.retain(|event| key(event).is_some_and(|key| key[..] < *cursor));
        }
        self.take(news).await
    }

    /// Makes the target's keys between `key` and `end` those of the page.
    async fn reconcile(
        &mut self,
        key: Vec<u8>,
        end: Vec<u8>,
        page: &[KeyValue],
        replace: bool,
    ) -> Result<(), ToolError> {
        let mut theirs = self.target_keys(key, end).await?;
        let mut batch = Batch::default();
        for kv in page {
            let there = theirs.remove(&kv.key[..]);
            if there.is_some_and(|there| there.value == kv.value && there.lease == kv.lease) {
                continue;
            }
            self.leases.ensure(kv.lease, &self.from, &self.to).await?;
            batch.add(put(kv), kv.key.len() + kv.value.len());
            if batch.is_full() {
                self.to.write(batch.take()).await?;
            }
        }
        if let Some(other) = theirs.keys().next().filter(|_| !replace) {
            let text = format!(
                "the target holds {:?}, which the source does not have, and {} more",
                other.escape_ascii().to_string(),
                theirs.len() - 1
            );
            return Err(ToolError::of(Id::OtherData, text));
        }
        for other in theirs.into_keys() {
            batch.add(delete(&other), other.len());
            if batch.is_full() {
                self.to.write(batch.take()).await?;
            }
        }
        if !batch.ops.is_empty() {
            self.to.write(batch.take()).await?;
        }
        Ok(())
    }

    async fn target_keys(
        &self,
        mut key: Vec<u8>,
        end: Vec<u8>,
    ) -> Result<BTreeMap<Vec<u8>, KeyValue>, ToolError> {
        let mut found = BTreeMap::new();
        loop {
            let page = self.to.page(key, end.clone(), PAGE_KEYS, 0).await?;
            key = page.kvs.last().map(|kv| [&kv.key[..], &[0]].concat()).unwrap_or_default();
            found.extend(page.kvs.into_iter().map(|kv| (kv.key.to_vec(), kv)));
            if !page.more {
                return Ok(found);
            }
        }
    }
}

/// Operations of one transaction.
#[derive(Default)]
struct Batch {
    ops: Vec<pb::RequestOp>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, op: pb::RequestOp, bytes: usize) {
        self.ops.push(op);
        self.bytes += bytes;
    }

    fn is_full(&self) -> bool {
        self.ops.len() >= OPS_MAX || self.bytes >= OPS_BYTES_MAX
    }

    fn take(&mut self) -> Vec<pb::RequestOp> {
        self.bytes = 0;
        std::mem::take(&mut self.ops)
    }
}

/// The put that makes a key what it is.
pub(super) fn put(kv: &KeyValue) -> pb::RequestOp {
    let request = pb::PutRequest {
        key: kv.key.clone(),
        value: kv.value.clone(),
        lease: kv.lease,
        ..Default::default()
    };
    pb::RequestOp { request: Some(Request::RequestPut(request)) }
}

/// The deletion of one key.
pub(super) fn delete(key: &[u8]) -> pb::RequestOp {
    let request = pb::DeleteRangeRequest { key: key.to_vec().into(), ..Default::default() };
    pb::RequestOp { request: Some(Request::RequestDeleteRange(request)) }
}
