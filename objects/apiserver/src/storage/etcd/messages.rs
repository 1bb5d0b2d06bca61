//! The storage's words as etcd's messages, and back; the prefix of the keys.
//!
//! Must not know: how messages travel.

use bytes::Bytes;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp, TxnRequest,
    TxnResponse, request_op, response_op,
};
use proto::mvccpb::{Event, KeyValue, event::EventType};

use crate::storage::{
    Change, ChangeKind, CompactionRound, Page, PageAnswer, Revision, Stored, Written,
};

/// Puts keys under the prefix, and takes it away.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
}

impl Keys {
    /// Compat: kube-apiserver reads its prefix as a path: `registry/` is `/registry`.
    pub(super) fn new(prefix: &str) -> Self {
        let path = prefix.trim_matches('/');
        Keys { prefix: if path.is_empty() { String::new() } else { format!("/{path}") } }
    }

    pub(super) fn full(&self, key: &str) -> Bytes {
        Bytes::from(format!("{}{key}", self.prefix))
    }

    fn relative(&self, key: &[u8]) -> String {
        let key = key.strip_prefix(self.prefix.as_bytes()).unwrap_or(key);
        String::from_utf8_lossy(key).into_owned()
    }

    pub(super) fn get(&self, key: &str) -> RangeRequest {
        RangeRequest { key: self.full(key), ..RangeRequest::default() }
    }

    /// The cheapest linearizable read: of a key that nobody has.
    pub(super) fn revision(&self) -> RangeRequest {
        RangeRequest { count_only: true, ..self.get("/") }
    }

    pub(super) fn range(&self, page: Page<'_>) -> RangeRequest {
        let start = page.start.unwrap_or(page.prefix).max(page.prefix);
        RangeRequest {
            key: self.full(start),
            range_end: range_end(&self.full(page.prefix)),
            limit: i64::try_from(page.limit).unwrap_or(i64::MAX),
            revision: page.revision.signed(),
            ..RangeRequest::default()
        }
    }

    pub(super) fn put(
        &self,
        key: &str,
        expected: Revision,
        value: Bytes,
        lease: i64,
    ) -> TxnRequest {
        let put = PutRequest { key: self.full(key), value, lease, ..PutRequest::default() };
        self.conditional(key, expected, request_op::Request::RequestPut(put))
    }

    pub(super) fn delete(&self, key: &str, expected: Revision) -> TxnRequest {
        let delete = DeleteRangeRequest { key: self.full(key), ..DeleteRangeRequest::default() };
        self.conditional(key, expected, request_op::Request::RequestDeleteRange(delete))
    }

    /// Compat: a key that does not exist has the mod revision 0, which the same comparison finds.
    fn conditional(
        &self,
        key: &str,
        expected: Revision,
        request: request_op::Request,
    ) -> TxnRequest {
        let compare = Compare {
            result: CompareResult::Equal as i32,
            target: CompareTarget::Mod as i32,
            key: self.full(key),
            target_union: Some(TargetUnion::ModRevision(expected.signed())),
            ..Compare::default()
        };
        let read = request_op::Request::RequestRange(self.get(key));
        TxnRequest {
            compare: vec![compare],
            success: vec![RequestOp { request: Some(request) }],
            failure: vec![RequestOp { request: Some(read) }],
        }
    }

    pub(super) fn page(&self, answer: RangeResponse, asked: Revision) -> PageAnswer {
        let newest = Revision::of(answer.header.map_or(0, |header| header.revision));
        PageAnswer {
            more: answer.more,
            count: usize::try_from(answer.count).unwrap_or(0),
            revision: if asked == Revision::NONE { newest } else { asked },
            items: answer.kvs.into_iter().map(|kv| self.stored(kv)).collect(),
        }
    }

    fn stored(&self, kv: KeyValue) -> Stored {
        Stored {
            key: self.relative(&kv.key),
            value: kv.value,
            revision: Revision::of(kv.mod_revision),
            create_revision: Revision::of(kv.create_revision),
        }
    }

    pub(super) fn written(&self, answer: TxnResponse) -> Written {
        let revision = Revision::of(answer.header.as_ref().map_or(0, |header| header.revision));
        if answer.succeeded {
            return Written::Done { revision };
        }
        let current = only_range(answer).and_then(|range| range.kvs.into_iter().next());
        Written::Changed { current: current.map(|kv| self.stored(kv)), revision }
    }

    pub(super) fn change(&self, event: Event) -> Option<Change> {
        let deleted = event.r#type() == EventType::Delete;
        let kv = event.kv?;
        let kind = match (deleted, kv.create_revision == kv.mod_revision) {
            (true, _) => ChangeKind::Deleted,
            (false, true) => ChangeKind::Created,
            (false, false) => ChangeKind::Replaced,
        };
        Some(Change {
            kind,
            key: self.relative(&kv.key),
            revision: Revision::of(kv.mod_revision),
            value: kv.value,
            previous: event.prev_kv.map(|kv| kv.value),
        })
    }
}

fn only_range(answer: TxnResponse) -> Option<RangeResponse> {
    match answer.responses.into_iter().next()?.response? {
        response_op::Response::ResponseRange(range) => Some(range),
        _ => None,
    }
}

/// The key behind all keys with a prefix. Prefixes are paths, which have no byte 255.
pub(super) fn range_end(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bytes::from(end);
        }
    }
    Bytes::from_static(b"\0")
}

/// Raises the record of compaction, if it is at the round that is known.
pub(super) fn record(key: &'static str, known: CompactionRound) -> TxnRequest {
    let key = Bytes::from_static(key.as_bytes());
    let put = PutRequest {
        key: key.clone(),
        value: Bytes::from(known.revision.to_string()),
        ..PutRequest::default()
    };
    let compare = Compare {
        result: CompareResult::Equal as i32,
        target: CompareTarget::Version as i32,
        key: key.clone(),
        target_union: Some(TargetUnion::Version(known.number)),
        ..Compare::default()
    };
    let read = RangeRequest { key, ..RangeRequest::default() };
    TxnRequest {
        compare: vec![compare],
        success: vec![RequestOp { request: Some(request_op::Request::RequestPut(put)) }],
        failure: vec![RequestOp { request: Some(request_op::Request::RequestRange(read)) }],
    }
}

/// What is known after [`record`].
pub(super) fn round(answer: TxnResponse, known: CompactionRound) -> CompactionRound {
    let revision = Revision::of(answer.header.as_ref().map_or(0, |header| header.revision));
    if answer.succeeded {
        return CompactionRound {
            number: known.number + 1,
            revision,
            compacted: known.revision.max(known.compacted),
        };
    }
    let kv = only_range(answer).and_then(|range| range.kvs.into_iter().next());
    let Some(kv) = kv else { return CompactionRound { number: 0, revision, ..known } };
    let said = std::str::from_utf8(&kv.value).ok().and_then(|text| text.parse().ok());
    CompactionRound {
        number: kv.version,
        revision,
        compacted: said.unwrap_or(Revision::NONE).max(known.compacted),
    }
}
