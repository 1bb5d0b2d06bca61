//! The first copy: page by page, each compared with what the target has there.
//!
//! Invariant: after a page, every key up to its end is the source's of the page's moment or newer;
//! changes taken between pages keep it so. A copy that was broken off is gone through again, and
//! only what differs is written. So is one whose source compacted what was not read yet.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request;
use proto::mvccpb::KeyValue;

use super::Work;
use super::feed::{Feed, Forgotten, Heard, News};
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
    pub(super) async fn copy(&mut self, feed: &mut Feed) -> Result<(), ToolError> {
        self.bar.set_length(self.from.count(&self.range).await?);
        self.bar.set_position(0);
        let end = self.range.end();
        let mut key = self.range.first();
        loop {
            let page = self.from.page(key.clone(), end.clone(), PAGE_KEYS, 0).await?;
            let next = page.kvs.last().map(|kv| [&kv.key[..], &[0]].concat());
            let next = next.filter(|_| page.more);
            let page_end = next.as_ref().unwrap_or(&end).clone();
            self.reconcile(key, page_end, &page.kvs).await?;
            self.bar.inc(page.kvs.len() as u64);
            self.leases.renew_when_due(&self.from, &self.to).await?;
            if let Some(next) = &next {
                self.ours_below = next.clone().max(std::mem::take(&mut self.ours_below));
            }
            key = match (self.between_pages(feed, next.as_deref()).await?, next) {
                (Some(forgotten), _) => {
                    self.reopen(feed, forgotten).await?;
                    self.bar.set_position(0);
                    self.range.first()
                }
                (None, Some(next)) => next,
                (None, None) => break,
            };
        }
        // Whatever the source does not have from here on, it had.
        self.replace = true;
        self.say(format_args!("copied {} keys", self.bar.position()));
        Ok(())
    }

    /// Takes the changes there are. What changed behind the cursor counts; what changed before it
    /// will be read newer.
    async fn between_pages(
        &mut self,
        feed: &mut Feed,
        cursor: Option<&[u8]>,
    ) -> Result<Option<Forgotten>, ToolError> {
        loop {
            match feed.next(SOON).await? {
                Heard::News(news) => self.take_behind(news, cursor).await?,
                Heard::Nothing => return Ok(None),
                Heard::Forgotten(forgotten) => return Ok(Some(forgotten)),
            }
        }
    }

    /// Applies the changes of keys below the cursor; `None`: of all.
    async fn take_behind(
        &mut self,
        mut news: News,
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
        let foreign = |key: &&Vec<u8>| !self.replace && **key >= self.ours_below;
        if let Some(other) = theirs.keys().find(foreign) {
            let text = format!(
                "the target holds {:?}, which the source does not have, and {} more",
                other.escape_ascii().to_string(),
                theirs.keys().filter(foreign).count() - 1
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
