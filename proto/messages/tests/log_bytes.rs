//! The bytes of the log's messages, field by field: a change here breaks stored logs.

use bytes::Bytes;
use prost::Message;
use proto::etcdserverpb::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, LeaseCheckpoint, LeaseCheckpointRequest,
    LeaseGrantRequest, LeaseRevokeRequest, PutRequest, TxnRequest,
};
use proto::log::command::Request;
use proto::log::entry::Payload;
use proto::log::{
    Batch, Blank, Command, CommandHeader, Downgrade, Entry, MemberAttributes, StateMachineVersion,
};

fn assert_bytes<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M, expected: &[u8]) {
    assert_eq!(message.encode_to_vec(), expected, "{message:?}");
    assert_eq!(&M::decode(expected).expect("decodes"), message);
}

fn command(request: Request) -> Command {
    Command { header: None, request: Some(request) }
}

#[test]
fn an_entry_holds_term_index_and_one_payload() {
    let entry = |payload| Entry { term: 3, index: 300, payload: Some(payload) };
    let head = [0x08, 3, 0x10, 0xac, 0x02];
    assert_bytes(&entry(Payload::Blank(Blank {})), &[&head[..], &[0x1a, 0]].concat());
    let batch = Payload::Batch(Bytes::from_static(b"ab"));
    assert_bytes(&entry(batch), &[&head[..], &[0x22, 2, b'a', b'b']].concat());
    let membership = Payload::Membership(Bytes::from_static(b"m"));
    assert_bytes(&entry(membership), &[&head[..], &[0x2a, 1, b'm']].concat());
}

#[test]
fn an_empty_batch_payload_is_still_a_batch() {
    let entry = Entry { term: 0, index: 0, payload: Some(Payload::Batch(Bytes::new())) };
    assert_bytes(&entry, &[0x22, 0]);
}

#[test]
fn a_batch_holds_its_version_and_its_commands_in_order() {
    let first = command(Request::LeaseRevoke(LeaseRevokeRequest { id: 7 }));
    let second = command(Request::StateMachineVersion(StateMachineVersion { version: 2 }));
    let batch = Batch { state_machine_version: 1, commands: vec![first, second] };
    let expected = [0x08, 1, 0x12, 4, 0x3a, 2, 0x08, 7, 0x12, 4, 0x5a, 2, 0x08, 2];
    assert_bytes(&batch, &expected);
}

#[test]
fn a_command_header_holds_id_user_auth_revision_and_fence() {
    let header = CommandHeader { id: 1, username: "u".into(), auth_revision: 2, fence_term: 128 };
    let command = Command { header: Some(header), request: None };
    assert_bytes(&command, &[0x0a, 10, 0x08, 1, 0x12, 1, b'u', 0x18, 2, 0x20, 0x80, 0x01]);
}

#[test]
fn each_command_has_its_field() {
    let put = PutRequest { key: "k".into(), value: "v".into(), ..Default::default() };
    assert_bytes(&command(Request::Put(put)), &[0x12, 6, 0x0a, 1, b'k', 0x12, 1, b'v']);
    let delete = DeleteRangeRequest { key: "k".into(), ..Default::default() };
    assert_bytes(&command(Request::DeleteRange(delete)), &[0x1a, 3, 0x0a, 1, b'k']);
    assert_bytes(&command(Request::Txn(TxnRequest::default())), &[0x22, 0]);
    let compaction = CompactionRequest { revision: 5, physical: false };
    assert_bytes(&command(Request::Compaction(compaction)), &[0x2a, 2, 0x08, 5]);
    let grant = LeaseGrantRequest { ttl: 10, id: 9 };
    assert_bytes(&command(Request::LeaseGrant(grant)), &[0x32, 4, 0x08, 10, 0x10, 9]);
    let revoke = LeaseRevokeRequest { id: 9 };
    assert_bytes(&command(Request::LeaseRevoke(revoke)), &[0x3a, 2, 0x08, 9]);
    let checkpoint = LeaseCheckpoint { id: 9, remaining_ttl: 4 };
    let checkpoints = LeaseCheckpointRequest { checkpoints: vec![checkpoint] };
    let expected = [0x42, 6, 0x0a, 4, 0x08, 9, 0x10, 4];
    assert_bytes(&command(Request::LeaseCheckpoint(checkpoints)), &expected);
    let alarm = AlarmRequest { action: 1, member_id: 3, alarm: 1 };
    assert_bytes(&command(Request::Alarm(alarm)), &[0x4a, 6, 0x08, 1, 0x10, 3, 0x18, 1]);
    let attributes = MemberAttributes {
        member_id: 3,
        name: "a".into(),
        client_urls: vec!["x".into(), "y".into()],
    };
    let expected = [0x52, 11, 0x08, 3, 0x12, 1, b'a', 0x1a, 1, b'x', 0x1a, 1, b'y'];
    assert_bytes(&command(Request::MemberAttributes(attributes)), &expected);
    let version = StateMachineVersion { version: 2 };
    assert_bytes(&command(Request::StateMachineVersion(version)), &[0x5a, 2, 0x08, 2]);
    let downgrade = Downgrade { enabled: true, target_version: "3.6".into() };
    let expected = [0x62, 7, 0x08, 1, 0x12, 3, b'3', b'.', b'6'];
    assert_bytes(&command(Request::Downgrade(downgrade)), &expected);
}

#[test]
fn a_command_of_a_newer_release_decodes_without_a_request() {
    // Field 63 is one of those kept for later commands; 40 has become one.
    let decoded = Command::decode(&[0xfa, 0x03, 0][..]).expect("decodes");
    assert_eq!(decoded.request, None);
}

#[test]
fn decoding_an_entry_and_its_batch_shares_the_received_bytes() {
    let put = PutRequest { key: "key".into(), value: vec![7; 1000].into(), ..Default::default() };
    let batch = Batch { state_machine_version: 1, commands: vec![command(Request::Put(put))] };
    let payload = Payload::Batch(batch.encode_to_vec().into());
    let entry = Entry { term: 1, index: 1, payload: Some(payload) };
    let received = Bytes::from(entry.encode_to_vec());

    let entry = Entry::decode(received.clone()).expect("decodes");
    let Some(Payload::Batch(batch)) = entry.payload else { panic!("a batch was encoded") };
    let batch = Batch::decode(batch).expect("decodes");
    let Some(Request::Put(put)) = &batch.commands[0].request else { panic!("a put was encoded") };
    let all = received.as_ptr_range();
    assert!(all.contains(&put.value.as_ptr()), "the value was copied");
    assert!(all.contains(&put.key.as_ptr()), "the key was copied");
}
