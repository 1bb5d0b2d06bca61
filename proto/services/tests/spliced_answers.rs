//! A server that answers in spliced types and a client that reads plain ones understand each
//! other, through the generated code, without a network in between.

use std::pin::Pin;

use proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, PutRequest, RangeRequest,
    ResponseHeader, TxnRequest, WatchRequest, response_op,
};
use proto::mvccpb::event::EventType;
use proto::mvccpb::{Event, KeyValue};
use proto::spliced;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::kv_server::{Kv, KvServer};
use services::etcdserverpb::watch_client::WatchClient;
use services::etcdserverpb::watch_server::{Watch, WatchServer};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn header() -> ResponseHeader {
    ResponseHeader { cluster_id: 1, member_id: 2, revision: 3, raft_term: 4 }
}

fn kv(key: &'static str) -> KeyValue {
    KeyValue {
        key: key.into(),
        create_revision: 2,
        mod_revision: 3,
        version: 2,
        value: "value".into(),
        lease: 7,
    }
}

fn encoded(key: &'static str) -> spliced::EncodedKeyValue {
    spliced::EncodedKeyValue::encode(&kv(key))
}

/// Answers every call with the same fixed content.
struct Fixed;

#[tonic::async_trait]
impl Kv for Fixed {
    type RangeStreamStream = Answers<spliced::RangeStreamResponse>;

    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<spliced::RangeResponse>, Status> {
        assert_eq!(request.into_inner().key, "a");
        let kvs = vec![encoded("a"), encoded("b")];
        Ok(Response::new(spliced::RangeResponse {
            header: Some(header()),
            kvs,
            more: true,
            count: 9,
        }))
    }

    async fn range_stream(
        &self,
        _: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let pieces = ["a", "b"].map(|key| {
            let kvs = vec![encoded(key)];
            Ok(spliced::RangeResponse { kvs, ..Default::default() }.into())
        });
        Ok(Response::new(Box::pin(tokio_stream::iter(pieces))))
    }

    async fn put(&self, _: Request<PutRequest>) -> Result<Response<spliced::PutResponse>, Status> {
        let prev_kv = Some(encoded("a"));
        Ok(Response::new(spliced::PutResponse { header: Some(header()), prev_kv }))
    }

    async fn delete_range(
        &self,
        _: Request<DeleteRangeRequest>,
    ) -> Result<Response<spliced::DeleteRangeResponse>, Status> {
        let prev_kvs = vec![encoded("a")];
        Ok(Response::new(spliced::DeleteRangeResponse { header: None, deleted: 1, prev_kvs }))
    }

    async fn txn(&self, _: Request<TxnRequest>) -> Result<Response<spliced::TxnResponse>, Status> {
        let put = spliced::PutResponse { header: None, prev_kv: Some(encoded("a")) };
        let responses = vec![spliced::response_op::Response::ResponsePut(put).into()];
        Ok(Response::new(spliced::TxnResponse { header: None, succeeded: true, responses }))
    }

    async fn compact(
        &self,
        _: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        Err(Status::out_of_range(proto::status::EtcdError::Compacted.message()))
    }
}

#[tonic::async_trait]
impl Watch for Fixed {
    type WatchStream = Answers<spliced::WatchResponse>;

    async fn watch(
        &self,
        _: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let mut events = spliced::EncodedEventsBuilder::default();
        events.push(EventType::Put, &encoded("a").0, None);
        events.push(EventType::Delete, &encoded("b").0, Some(&encoded("c").0));
        let answer = spliced::WatchResponse {
            header: Some(header()),
            watch_id: 5,
            events: events.finish(),
            ..Default::default()
        };
        Ok(Response::new(Box::pin(tokio_stream::iter([Ok(answer)]))))
    }
}

#[tokio::test]
async fn range_answers_arrive_as_plain_key_values() {
    let mut client = KvClient::new(KvServer::new(Fixed));
    let request = RangeRequest { key: "a".into(), ..Default::default() };
    let answer = client.range(request).await.expect("answers").into_inner();
    assert_eq!(answer.header, Some(header()));
    assert_eq!(answer.kvs, [kv("a"), kv("b")]);
    assert!(answer.more);
    assert_eq!(answer.count, 9);
}

#[tokio::test]
async fn streamed_ranges_arrive_piece_by_piece() {
    let mut client = KvClient::new(KvServer::new(Fixed));
    let stream = client.range_stream(RangeRequest::default()).await.expect("answers").into_inner();
    let pieces: Vec<_> = stream.collect().await;
    let keys: Vec<_> = pieces
        .into_iter()
        .flat_map(|piece| piece.expect("a piece").range_response.expect("set").kvs)
        .collect();
    assert_eq!(keys, [kv("a"), kv("b")]);
}

#[tokio::test]
async fn write_answers_arrive_as_plain_key_values() {
    let mut client = KvClient::new(KvServer::new(Fixed));
    let put = client.put(PutRequest::default()).await.expect("answers").into_inner();
    assert_eq!(put.prev_kv, Some(kv("a")));
    let delete = client.delete_range(DeleteRangeRequest::default()).await.expect("answers");
    assert_eq!(delete.into_inner().prev_kvs, [kv("a")]);
    let txn = client.txn(TxnRequest::default()).await.expect("answers").into_inner();
    let Some(response_op::Response::ResponsePut(put)) = &txn.responses[0].response else {
        panic!("the answer of a put was sent");
    };
    assert_eq!(put.prev_kv, Some(kv("a")));
}

#[tokio::test]
async fn watch_answers_arrive_as_plain_events() {
    let mut client = WatchClient::new(WatchServer::new(Fixed));
    let requests = tokio_stream::empty::<WatchRequest>();
    let mut stream = client.watch(requests).await.expect("answers").into_inner();
    let answer = stream.message().await.expect("no error").expect("an answer");
    assert_eq!(answer.watch_id, 5);
    let put = Event { r#type: 0, kv: Some(kv("a")), prev_kv: None };
    let delete = Event { r#type: 1, kv: Some(kv("b")), prev_kv: Some(kv("c")) };
    assert_eq!(answer.events, [put, delete]);
}

#[tokio::test]
async fn an_error_arrives_with_its_code_and_text() {
    let mut client = KvClient::new(KvServer::new(Fixed));
    let status = client.compact(CompactionRequest::default()).await.expect_err("refused");
    let error = proto::status::EtcdError::from_message(status.message()).expect("in the table");
    assert_eq!(error, proto::status::EtcdError::Compacted);
    assert_eq!(i32::from(status.code()), error.code() as i32);
}
