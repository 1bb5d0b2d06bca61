//! The Watch service as a client sees it.

use crate::support::{Node, PATIENCE, one, one_with};
use pb::watch_request::RequestUnion;
use proto::etcdserverpb as pb;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

struct Stream {
    requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Stream {
    async fn open(node: &Node) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let answers = node.watch().watch(ReceiverStream::new(receiver)).await.expect("opened");
        Stream { requests, answers: answers.into_inner() }
    }

    async fn ask(&self, request: RequestUnion) {
        let request = pb::WatchRequest { request_union: Some(request) };
        self.requests.send(request).await.expect("the stream is open");
    }

    async fn create(&mut self, create: pb::WatchCreateRequest) -> pb::WatchResponse {
        self.ask(RequestUnion::CreateRequest(create)).await;
        let answer = self.next().await;
        assert!(answer.created);
        answer
    }

    async fn answer(&mut self) -> Result<Option<pb::WatchResponse>, Status> {
        tokio::time::timeout(PATIENCE, self.answers.message()).await.expect("an answer in time")
    }

    async fn next(&mut self) -> pb::WatchResponse {
        self.answer().await.expect("no error").expect("not the end")
    }
}

fn prefix(key: &str, start_revision: i64) -> pb::WatchCreateRequest {
    let mut end = key.as_bytes().to_vec();
    *end.last_mut().expect("not empty") += 1;
    let (key, range_end) = (key.to_owned().into(), end.into());
    pb::WatchCreateRequest { key, range_end, start_revision, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_in_order_with_a_full_header() {
    let node = one().await;
    node.put("a1", "old").await;
    let mut stream = Stream::open(&node).await;
    let created = stream.create(pb::WatchCreateRequest { prev_kv: true, ..prefix("a", 2) }).await;
    let header = created.header.expect("a header");
    assert_eq!((header.member_id, header.raft_term), (node.member.ids().member_id, 1));
    for value in ["1", "2", "3"] {
        node.put("a1", value).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let answer = stream.next().await;
        assert_eq!(answer.watch_id, created.watch_id);
        seen.extend(answer.events);
    }
    let revisions: Vec<i64> =
        seen.iter().map(|event| event.kv.as_ref().expect("a value").mod_revision).collect();
    assert_eq!(revisions, [2, 3, 4, 5]);
    assert_eq!(seen[3].prev_kv.as_ref().expect("the value before").value, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_on_one_stream_are_answered_in_their_order() {
    let node = one().await;
    node.put("a", "1").await;
    let mut stream = Stream::open(&node).await;
    assert_eq!(stream.create(prefix("a", 0)).await.watch_id, 0);
    assert_eq!(stream.create(prefix("b", 0)).await.watch_id, 1);
    let negative = stream.create(prefix("a", -1)).await;
    assert_eq!((negative.watch_id, negative.canceled), (-1, true));
    assert_eq!(negative.cancel_reason, "etcdserver: mvcc: required revision has been compacted");
    stream.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    let progress = stream.next().await;
    assert_eq!((progress.watch_id, progress.header.expect("a header").revision), (-1, 2));
    stream.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 1 })).await;
    let canceled = stream.next().await;
    assert_eq!((canceled.watch_id, canceled.canceled), (1, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_compacted_is_canceled_with_the_compacted_revision() {
    let node = one().await;
    for value in ["1", "2", "3"] {
        node.put("a", value).await;
    }
    let request = pb::CompactionRequest { revision: 4, physical: true };
    node.kv().compact(request).await.expect("accepted");
    let mut stream = Stream::open(&node).await;
    assert!(!stream.create(prefix("a", 2)).await.canceled);
    let canceled = stream.next().await;
    assert!(canceled.canceled);
    assert_eq!((canceled.compact_revision, canceled.cancel_reason.as_str()), (4, ""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_watcher_is_told_the_revision_periodically() {
    let node = one_with("--watch-progress-notify-interval 100ms").await;
    let mut stream = Stream::open(&node).await;
    stream.create(pb::WatchCreateRequest { progress_notify: true, ..prefix("a", 0) }).await;
    let progress = stream.next().await;
    assert_eq!((progress.watch_id, progress.events.len()), (0, 0));
    assert_eq!(progress.header.expect("a header").revision, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_of_a_half_closed_stream_go_on() {
    let node = one().await;
    let mut stream = Stream::open(&node).await;
    stream.create(prefix("a", 0)).await;
    drop(std::mem::replace(&mut stream.requests, mpsc::channel(1).0));
    node.put("a", "1").await;
    assert_eq!(stream.next().await.events.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_as_unavailable_when_the_member_stops() {
    let node = one().await;
    let mut stream = Stream::open(&node).await;
    stream.create(prefix("a", 0)).await;
    node.member.stop().await;
    let ended = stream.answer().await.expect_err("an error sends clients elsewhere");
    assert_eq!(ended.code(), Code::Unavailable);
}
