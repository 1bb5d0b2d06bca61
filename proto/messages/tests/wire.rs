//! Every message, field number and type that goes over a socket or into the log.
//!
//! `golden/wire.txt` is the promise: a line that changes or vanishes breaks clients, stored logs
//! or members of another release. New lines may be added.

use std::fmt::Write;

use prost::Message;
use protox::prost_reflect::{DescriptorPool, FieldDescriptor, Kind, MessageDescriptor};

const FILES: &[&str] = &[
    "etcd/auth.proto",
    "etcd/cluster.proto",
    "etcd/election.proto",
    "etcd/internal.proto",
    "etcd/kv.proto",
    "etcd/lease.proto",
    "etcd/lock.proto",
    "etcd/maintenance.proto",
    "etcd/watch.proto",
    "engram/log.proto",
    "engram/peer.proto",
];

fn facts() -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(FILES, [root]).expect("our own files compile");
    let pool = DescriptorPool::decode(files.encode_to_vec().as_slice()).expect("a whole set");
    let mut lines: Vec<String> = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            lines.push(format!(
                "rpc {}/{} {}{} -> {}{}",
                service.full_name(),
                method.name(),
                stream(method.is_client_streaming()),
                method.input().full_name(),
                stream(method.is_server_streaming()),
                method.output().full_name(),
            ));
        }
    }
    for message in pool.all_messages() {
        lines.push(format!("message {}", message.full_name()));
        lines.extend(message.fields().map(|field| field_line(&message, &field)));
    }
    for value in pool.all_enums().flat_map(|e| e.values().collect::<Vec<_>>()) {
        lines.push(format!(
            "enum {} {} = {}",
            value.parent_enum().full_name(),
            value.name(),
            value.number()
        ));
    }
    lines.sort();
    lines.iter().fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").expect("writing to a string");
        text
    })
}

fn stream(streaming: bool) -> &'static str {
    if streaming { "stream " } else { "" }
}

fn field_line(message: &MessageDescriptor, field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(values) => values.full_name().to_owned(),
        scalar => format!("{scalar:?}").to_lowercase(),
    };
    let repeated = if field.is_list() { "repeated " } else { "" };
    let oneof = field.containing_oneof().map_or(String::new(), |o| format!(" oneof {}", o.name()));
    let json = field.json_name();
    format!(
        "field {} {:04} {repeated}{kind} {}{oneof} json {json}",
        message.full_name(),
        field.number(),
        field.name(),
    )
}

#[test]
fn no_field_number_type_or_call_changes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/wire.txt");
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    let facts = facts();
    let gone: Vec<&str> =
        golden.lines().filter(|line| !facts.lines().any(|f| f == *line)).collect();
    let new: Vec<&str> = facts.lines().filter(|line| !golden.lines().any(|g| g == *line)).collect();
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew, to be added: {new:#?}");
}
