//! One watch: a stream to an endpoint, its answers as batches.
//!
//! Invariants: a stream carries one watch, so that word of its progress is about that watch alone;
//! the first error ends it.
//!
//! Must not know: what is done about an error; the cache opens the watch again.

use futures::{Stream, StreamExt as _};
use proto::etcdserverpb::watch_request::RequestUnion;
use proto::etcdserverpb::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use proto::{metadata, status};
use services::etcdserverpb::watch_client::WatchClient;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

use super::calls::{Calls, read_error};
use super::messages::{Keys, range_end};
use crate::storage::{Batch, Revision, StorageError, WatchFrom, Watching};

/// Requests that wait to be sent: the creation, and one for progress. When it is full, a further
/// request for progress is not needed.
const REQUESTS_MAX: usize = 2;
const ANSWER_BYTES_MAX: usize = 1 << 30;

pub(super) async fn open(
    calls: &Calls,
    keys: Keys,
    watch: WatchFrom<'_>,
) -> Result<Watching, StorageError> {
    let (sender, requests) = mpsc::channel(REQUESTS_MAX);
    let create = RequestUnion::CreateRequest(create(&keys, watch));
    drop(sender.try_send(WatchRequest { request_union: Some(create) }));
    let mut request = Request::new(ReceiverStream::new(requests));
    let on = MetadataValue::from_static(metadata::REQUIRE_LEADER_ON);
    request.metadata_mut().insert(metadata::REQUIRE_LEADER, on);

    let (picked, deadline) = calls.pick();
    let client = WatchClient::new(picked.service.clone());
    let mut client = client.max_decoding_message_size(ANSWER_BYTES_MAX);
    let opened = tokio::time::timeout(deadline, client.watch(request)).await;
    let error = match opened {
        Ok(Ok(answer)) => {
            let batches = batches(answer.into_inner(), keys);
            return Ok(Watching::new(batches.boxed(), move || drop(sender.try_send(progress()))));
        }
        Ok(Err(status)) => read_error(&status),
        Err(_) => StorageError::unavailable("the watch was not opened in time"),
    };
    calls.failed(&picked);
    Err(error)
}

fn create(keys: &Keys, watch: WatchFrom<'_>) -> WatchCreateRequest {
    let key = keys.full(watch.prefix);
    WatchCreateRequest {
        range_end: range_end(&key),
        key,
        start_revision: watch.revision.signed(),
        progress_notify: true,
        prev_kv: true,
        ..WatchCreateRequest::default()
    }
}

fn progress() -> WatchRequest {
    WatchRequest { request_union: Some(RequestUnion::ProgressRequest(WatchProgressRequest {})) }
}

fn batches(
    answers: impl Stream<Item = Result<WatchResponse, Status>> + Send + Unpin + 'static,
    keys: Keys,
) -> impl Stream<Item = Result<Batch, StorageError>> + Send + 'static {
    futures::stream::unfold(Some((answers, keys)), |open| async move {
        let (mut answers, keys) = open?;
        loop {
            let batch = match answers.next().await {
                Some(Ok(answer)) => batch(answer, &keys),
                Some(Err(status)) => Some(Err(read_error(&status))),
                None => Some(Err(StorageError::unavailable("the watch was closed by the store"))),
            };
            match batch {
                None => {}
                Some(Ok(batch)) => return Some((Ok(batch), Some((answers, keys)))),
                Some(Err(error)) => return Some((Err(error), None)),
            }
        }
    })
}

/// An answer as a batch; none for the answer that the watch was created.
fn batch(answer: WatchResponse, keys: &Keys) -> Option<Result<Batch, StorageError>> {
    if answer.canceled || answer.compact_revision != 0 {
        return Some(Err(canceled(&answer)));
    }
    if answer.created {
        return None;
    }
    // Only an answer without events tells progress: the revision of others may be one whose
    // events are still to come.
    let revision = answer.header.map_or(0, |header| header.revision);
    let progress = answer.events.is_empty().then(|| Revision::of(revision));
    let changes = answer.events.into_iter().filter_map(|event| keys.change(event)).collect();
    Some(Ok(Batch { changes, progress }))
}

fn canceled(answer: &WatchResponse) -> StorageError {
    if answer.compact_revision != 0 || answer.cancel_reason == status::WATCH_COMPACTED {
        return StorageError::Compacted { compacted: Revision::of(answer.compact_revision) };
    }
    StorageError::unavailable(format!("the watch was canceled: {}", answer.cancel_reason))
}
