//! The deepest allowed transaction decodes in every envelope; a deeper one is refused by the limit.

use prost::Message;
use proto::etcdserverpb::{PutRequest, RequestOp, ResponseHeader, TxnRequest, request_op};
use proto::limits::{TXN_NESTING_MAX, txn_nesting_allowed};
use proto::{log, peer, spliced};

fn nested_request(levels: usize) -> TxnRequest {
    let put = PutRequest { key: "k".into(), ..Default::default() };
    let leaf = request_op::Request::RequestPut(put);
    let mut txn =
        TxnRequest { success: vec![RequestOp { request: Some(leaf) }], ..Default::default() };
    for _ in 1..levels {
        let request = Some(request_op::Request::RequestTxn(txn));
        txn = TxnRequest { failure: vec![RequestOp { request }], ..Default::default() };
    }
    txn
}

fn nested_response(levels: usize) -> spliced::TxnResponse {
    let header = Some(ResponseHeader { revision: 7, ..Default::default() });
    let kv = spliced::KeyValueView { key: b"k", mod_revision: 7, ..Default::default() }.encode();
    let range = spliced::RangeResponse { header, kvs: vec![kv], ..Default::default() };
    let leaf = spliced::response_op::Response::ResponseRange(range);
    let mut txn = spliced::TxnResponse { responses: vec![leaf.into()], ..Default::default() };
    for _ in 1..levels {
        let op = spliced::response_op::Response::ResponseTxn(txn).into();
        txn = spliced::TxnResponse { responses: vec![op], ..Default::default() };
    }
    txn
}

#[test]
fn the_limit_counts_the_outermost_transaction() {
    assert!(txn_nesting_allowed(&nested_request(1)));
    assert!(txn_nesting_allowed(&nested_request(TXN_NESTING_MAX)));
    assert!(!txn_nesting_allowed(&nested_request(TXN_NESTING_MAX + 1)));
}

#[test]
fn the_deepest_allowed_request_decodes_in_every_envelope() {
    let command = log::Command {
        request: Some(log::command::Request::Txn(nested_request(TXN_NESTING_MAX))),
        ..Default::default()
    };
    let batch = log::Batch { state_machine_version: 1, commands: vec![command.clone()] };
    assert_eq!(log::Batch::decode(&*batch.encode_to_vec()), Ok(batch));

    let propose = peer::ProposeRequest { command: Some(command), ..Default::default() };
    assert_eq!(peer::ProposeRequest::decode(&*propose.encode_to_vec()), Ok(propose));
}

#[test]
fn the_deepest_allowed_answer_decodes_in_its_envelope() {
    let outcome = peer::Outcome {
        result: Some(peer::outcome::Result::Txn(nested_response(TXN_NESTING_MAX))),
        ..Default::default()
    };
    let response =
        peer::ProposeResponse { result: Some(peer::propose_response::Result::Outcome(outcome)) };
    assert_eq!(peer::ProposeResponse::decode(&*response.encode_to_vec()), Ok(response));
}

#[test]
fn a_request_beyond_prosts_limit_is_an_error_and_not_a_crash() {
    let encoded = nested_request(60).encode_to_vec();
    assert!(TxnRequest::decode(&*encoded).is_err());
}
