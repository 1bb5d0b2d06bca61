//! The spliced types are alike on the wire with the plain ones, both ways, for any content.

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use proto::etcdserverpb::{self as plain, ResponseHeader};
use proto::mvccpb::event::EventType;
use proto::mvccpb::{Event, KeyValue};
use proto::spliced::{self, EncodedEvents, EncodedEventsBuilder, EncodedKeyValue, KeyValueView};

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![Just(0), Just(1), Just(-1), Just(i64::MAX), Just(i64::MIN), any::<i64>()]
}

/// Lengths around the steps of a length prefix: nothing, one byte, two bytes.
fn text() -> impl Strategy<Value = Bytes> {
    let sizes = prop_oneof![0usize..4, 120usize..136, 16_380usize..16_390];
    (sizes, any::<u8>()).prop_map(|(size, byte)| Bytes::from(vec![byte; size]))
}

prop_compose! {
    fn header()(cluster_id: u64, member_id: u64, revision in number(), raft_term: u64)
        -> ResponseHeader
    {
        ResponseHeader { cluster_id, member_id, revision, raft_term }
    }
}

prop_compose! {
    fn key_value()(
        key in text(), create_revision in number(), mod_revision in number(),
        version in number(), value in text(), lease in number(),
    ) -> KeyValue {
        KeyValue { key, create_revision, mod_revision, version, value, lease }
    }
}

prop_compose! {
    fn range()(
        header in proptest::option::of(header()),
        kvs in proptest::collection::vec(key_value(), 0..4),
        more: bool, count in number(),
    ) -> plain::RangeResponse {
        plain::RangeResponse { header, kvs, more, count }
    }
}

prop_compose! {
    fn put()(
        header in proptest::option::of(header()),
        prev_kv in proptest::option::of(key_value()),
    ) -> plain::PutResponse {
        plain::PutResponse { header, prev_kv }
    }
}

prop_compose! {
    fn delete()(
        header in proptest::option::of(header()), deleted in number(),
        prev_kvs in proptest::collection::vec(key_value(), 0..4),
    ) -> plain::DeleteRangeResponse {
        plain::DeleteRangeResponse { header, deleted, prev_kvs }
    }
}

fn txn() -> impl Strategy<Value = plain::TxnResponse> {
    use plain::response_op::Response;
    let leaf = (proptest::option::of(header()), any::<bool>()).prop_map(|(header, succeeded)| {
        plain::TxnResponse { header, succeeded, responses: Vec::new() }
    });
    leaf.prop_recursive(3, 12, 4, |inner| {
        let op = prop_oneof![
            range().prop_map(|r| Some(Response::ResponseRange(r))),
            put().prop_map(|r| Some(Response::ResponsePut(r))),
            delete().prop_map(|r| Some(Response::ResponseDeleteRange(r))),
            inner.prop_map(|r| Some(Response::ResponseTxn(r))),
            Just(None),
        ];
        let ops = op.prop_map(|response| plain::ResponseOp { response });
        (proptest::option::of(header()), any::<bool>(), proptest::collection::vec(ops, 0..4))
            .prop_map(|(header, succeeded, responses)| plain::TxnResponse {
                header,
                succeeded,
                responses,
            })
    })
}

prop_compose! {
    fn event()(
        delete: bool, kv in key_value(), prev_kv in proptest::option::of(key_value()),
    ) -> Event {
        let kind = if delete { EventType::Delete } else { EventType::Put };
        Event { r#type: kind.into(), kv: Some(kv), prev_kv }
    }
}

prop_compose! {
    fn watch()(
        header in proptest::option::of(header()), watch_id in number(),
        flags: (bool, bool, bool), compact_revision in number(),
        cancel_reason in "[a-zä ]{0,20}",
        events in proptest::collection::vec(event(), 0..4),
    ) -> plain::WatchResponse {
        let (created, canceled, fragment) = flags;
        plain::WatchResponse {
            header, watch_id, created, canceled, compact_revision, cancel_reason, fragment, events,
        }
    }
}

fn splice(kv: &KeyValue) -> EncodedKeyValue {
    EncodedKeyValue::encode(kv)
}

fn splice_range(r: &plain::RangeResponse) -> spliced::RangeResponse {
    spliced::RangeResponse {
        header: r.header,
        kvs: r.kvs.iter().map(splice).collect(),
        more: r.more,
        count: r.count,
    }
}

fn splice_put(r: &plain::PutResponse) -> spliced::PutResponse {
    spliced::PutResponse { header: r.header, prev_kv: r.prev_kv.as_ref().map(splice) }
}

fn splice_delete(r: &plain::DeleteRangeResponse) -> spliced::DeleteRangeResponse {
    spliced::DeleteRangeResponse {
        header: r.header,
        deleted: r.deleted,
        prev_kvs: r.prev_kvs.iter().map(splice).collect(),
    }
}

fn splice_txn(r: &plain::TxnResponse) -> spliced::TxnResponse {
    spliced::TxnResponse {
        header: r.header,
        succeeded: r.succeeded,
        responses: r.responses.iter().map(splice_op).collect(),
    }
}

fn splice_op(op: &plain::ResponseOp) -> spliced::ResponseOp {
    use plain::response_op::Response as Plain;
    use spliced::response_op::Response as Spliced;
    let response = op.response.as_ref().map(|response| match response {
        Plain::ResponseRange(r) => Spliced::ResponseRange(splice_range(r)),
        Plain::ResponsePut(r) => Spliced::ResponsePut(splice_put(r)),
        Plain::ResponseDeleteRange(r) => Spliced::ResponseDeleteRange(splice_delete(r)),
        Plain::ResponseTxn(r) => Spliced::ResponseTxn(splice_txn(r)),
    });
    spliced::ResponseOp { response }
}

fn splice_events(events: &[Event]) -> EncodedEvents {
    let mut builder = EncodedEventsBuilder::default();
    for event in events {
        let kv = splice(event.kv.as_ref().expect("generated with a key-value"));
        let prev_kv = event.prev_kv.as_ref().map(splice);
        builder.push(event.r#type(), &kv.0, prev_kv.as_ref().map(|kv| &kv.0[..]));
    }
    builder.finish()
}

fn splice_watch(r: &plain::WatchResponse) -> spliced::WatchResponse {
    spliced::WatchResponse {
        header: r.header,
        watch_id: r.watch_id,
        created: r.created,
        canceled: r.canceled,
        compact_revision: r.compact_revision,
        cancel_reason: r.cancel_reason.clone(),
        fragment: r.fragment,
        events: splice_events(&r.events),
    }
}

/// Same bytes, an honest length, and each decodes what the other encodes.
fn assert_twins<P, S>(plain: &P, spliced: &S)
where
    P: Message + Default + PartialEq + std::fmt::Debug,
    S: Message + Default + PartialEq + std::fmt::Debug,
{
    let bytes = plain.encode_to_vec();
    assert_eq!(bytes, spliced.encode_to_vec());
    assert_eq!(bytes.len(), spliced.encoded_len());
    assert_eq!(spliced, &S::decode(&*bytes).expect("the twin decodes"));
    assert_eq!(plain, &P::decode(Bytes::from(bytes)).expect("decodes"));
}

proptest! {
    #[test]
    fn a_key_value_view_encodes_like_the_message(kv in key_value()) {
        let view = KeyValueView::from(&kv);
        let encoded = splice(&kv);
        prop_assert_eq!(&view.encode(), &encoded);
        prop_assert_eq!(view.encoded_len(), encoded.0.len());
        prop_assert_eq!(encoded.view().expect("parses"), view);
        prop_assert_eq!(encoded.decode().expect("decodes"), kv.clone());
        assert_twins(&kv, &encoded);
    }

    #[test]
    fn a_range_answer_is_alike(r in range()) {
        assert_twins(&r, &splice_range(&r));
        let stream = plain::RangeStreamResponse { range_response: Some(r.clone()) };
        assert_twins(&stream, &spliced::RangeStreamResponse::from(splice_range(&r)));
    }

    #[test]
    fn a_put_answer_is_alike(r in put()) {
        assert_twins(&r, &splice_put(&r));
    }

    #[test]
    fn a_delete_answer_is_alike(r in delete()) {
        assert_twins(&r, &splice_delete(&r));
    }

    #[test]
    fn a_transaction_answer_is_alike(r in txn()) {
        assert_twins(&r, &splice_txn(&r));
    }

    #[test]
    fn a_watch_answer_is_alike(r in watch()) {
        assert_twins(&r, &splice_watch(&r));
        prop_assert_eq!(splice_events(&r.events).decode().expect("decodes"), r.events);
    }

    #[test]
    fn events_encoded_alone_join_to_the_same_bytes(
        events in proptest::collection::vec(event(), 0..4),
    ) {
        let mut joined = EncodedEventsBuilder::with_capacity(64);
        prop_assert!(joined.is_empty());
        for event in &events {
            let one = splice_events(std::slice::from_ref(event));
            let kv = splice(event.kv.as_ref().expect("generated with a key-value"));
            let prev_kv = event.prev_kv.as_ref().map(splice);
            let prev_kv = prev_kv.as_ref().map(|kv| &kv.0[..]);
            prop_assert_eq!(EncodedEvents::one_len(event.r#type(), &kv.0, prev_kv), one.len());
            prop_assert_eq!(&EncodedEvents::one(event.r#type(), &kv.0, prev_kv), &one);
            joined.push_encoded(&one);
        }
        prop_assert_eq!(joined.finish(), splice_events(&events));
    }

    #[test]
    fn any_bytes_parse_alike_or_fail_alike(bytes in proptest::collection::vec(any::<u8>(), 0..24)) {
        match KeyValue::decode(&*bytes) {
            Ok(kv) => prop_assert_eq!(
                KeyValueView::parse(&bytes).expect("parses as well"),
                KeyValueView::from(&kv)
            ),
            Err(_) => prop_assert!(KeyValueView::parse(&bytes).is_err()),
        }
    }

    #[test]
    fn any_bytes_decode_spliced_iff_plain_without_a_crash(
        bytes in proptest::collection::vec(any::<u8>(), 0..24),
    ) {
        // The spliced form does not look into the events, so it may accept more.
        if plain::WatchResponse::decode(&*bytes).is_ok() {
            prop_assert!(spliced::WatchResponse::decode(&*bytes).is_ok());
        }
        if plain::RangeResponse::decode(&*bytes).is_ok() {
            prop_assert!(spliced::RangeResponse::decode(&*bytes).is_ok());
        }
    }
}

#[test]
fn unknown_fields_of_a_key_value_are_kept_byte_for_byte() {
    let mut bytes = splice(&KeyValue { key: "k".into(), ..Default::default() }).0.to_vec();
    bytes.extend([0x98, 0x06, 0x07]); // field 99, varint 7
    bytes.extend([0xa1, 0x06, 1, 2, 3, 4, 5, 6, 7, 8]); // field 100, fixed64
    bytes.extend([0xad, 0x06, 1, 2, 3, 4]); // field 101, fixed32
    let decoded = <EncodedKeyValue as Message>::decode(&*bytes).expect("decodes");
    assert_eq!(decoded.0, bytes);
    assert_eq!(decoded.view().expect("parses").key, b"k");
}

#[test]
fn clearing_leaves_the_default() {
    let mut kv = splice(&KeyValue { key: "k".into(), ..Default::default() });
    kv.clear();
    assert_eq!(kv, EncodedKeyValue::default());

    let mut answer = spliced::WatchResponse { watch_id: 3, created: true, ..Default::default() };
    answer.clear();
    assert_eq!(answer, spliced::WatchResponse::default());
}
