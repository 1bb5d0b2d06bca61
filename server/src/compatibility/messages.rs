//! The services with their messages, out of the descriptors.
//!
//! Invariants: a message stands once, under the first RPC that it comes with; those that come with
//! the RPCs of several services stand at the end. Must not know: what a field means.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};

use super::{Counts, Standing, fields};
use crate::rpc::methods::{METHODS, Method};

/// On which side of a call a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Answer,
}

/// One message and the RPC that it first comes with.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) message: MessageDescriptor,
    pub(super) method: &'static Method,
    pub(super) side: Side,
    /// Whether several services' RPCs have it.
    pub(super) shared: bool,
}

/// The services and messages that are served, gRPC's own among them.
pub(super) fn pool() -> DescriptorPool {
    let mut pool = DescriptorPool::decode(services::DESCRIPTORS).expect("made by the same build");
    pool.decode_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .expect("the crate's own descriptors");
    pool
}

/// Every message of every RPC, in the order of the page.
pub(super) fn entries(pool: &DescriptorPool) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut services: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for method in METHODS {
        let Some(service) = pool.get_service_by_name(method.service.name()) else { continue };
        let Some(described) = service.methods().find(|one| one.name() == method.name) else {
            continue;
        };
        let sides = [(described.input(), Side::Request), (described.output(), Side::Answer)];
        for (message, side) in sides {
            let mut open = vec![message];
            let mut seen = BTreeSet::new();
            while let Some(message) = open.pop() {
                if !seen.insert(message.full_name().to_owned()) {
                    continue;
                }
                let users = services.entry(message.full_name().to_owned()).or_default();
                users.insert(method.service.name());
                if !found.iter().any(|entry| entry.message == message) {
                    found.push(Entry { message: message.clone(), method, side, shared: false });
                }
                let inner: Vec<_> = message.fields().filter_map(|f| inner(&f.kind())).collect();
                open.extend(inner.into_iter().rev());
            }
        }
    }
    for entry in &mut found {
        entry.shared = services[entry.message.full_name()].len() > 1;
    }
    found
}

fn inner(kind: &Kind) -> Option<MessageDescriptor> {
    match kind {
        Kind::Message(message) => Some(message.clone()),
        _ => None,
    }
}

/// The fields of a message in rows: those without a word of their own together.
pub(super) fn rows(entry: &Entry) -> Vec<(Vec<String>, Option<&'static Standing>)> {
    let mut plain = Vec::new();
    let mut special = Vec::<(Vec<String>, &Standing)>::new();
    for field in entry.message.fields() {
        let name = field.name().to_owned();
        match fields::find(entry.message.name(), &name) {
            None => plain.push(name),
            Some(standing) => match special.last_mut() {
                Some((names, last)) if std::ptr::eq(*last, standing) => names.push(name),
                _ => special.push((vec![name], standing)),
            },
        }
    }
    let plain = (!plain.is_empty()).then_some((plain, None));
    plain.into_iter().chain(special.into_iter().map(|(names, one)| (names, Some(one)))).collect()
}

/// The part of the page about services, and how many fields are how: of requests, of answers.
pub(super) fn services() -> (String, [Counts; 2]) {
    let pool = pool();
    let entries = entries(&pool);
    let mut counts = [Counts::default(), Counts::default()];
    let mut part = String::new();
    let mut service = None;
    for method in METHODS {
        if service == Some(method.service) {
            continue;
        }
        service = Some(method.service);
        part.push_str(&format!("\n## {}\n\n", method.service.name()));
        part.push_str("| RPC | state | note | shown by |\n|---|---|---|---|\n");
        for method in METHODS.iter().filter(|one| one.service == method.service) {
            part.push_str(&format!("| {} | {}\n", method.name, method.standing.cells()));
        }
        let own = entries.iter().filter(|one| one.method.service == method.service);
        table(own.filter(|one| !one.shared), &mut counts, &mut part);
    }
    part.push_str("\n## Messages of several services\n");
    table(entries.iter().filter(|one| one.shared), &mut counts, &mut part);
    (part, counts)
}

fn table<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    counts: &mut [Counts; 2],
    part: &mut String,
) {
    let mut text = String::new();
    for entry in entries {
        let side = usize::from(entry.side == Side::Answer);
        let mut name = entry.message.name();
        for (fields, standing) in rows(entry) {
            let state = standing.map_or(entry.method.standing.state, |standing| standing.state);
            // What an RPC does better or not at all is no matter of each field.
            let state = if standing.is_none() { super::State::Same } else { state };
            fields.iter().for_each(|_| counts[side].add(state));
            let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
            let cells = match standing {
                Some(standing) => standing.cells(),
                None => format!("same | | as {} |", entry.method.name),
            };
            text.push_str(&format!("| {name} | {} | {cells}\n", fields.join(", ")));
            name = "";
        }
        if entry.message.fields().len() == 0 {
            text.push_str(&format!("| {name} | – | same | | as {} |\n", entry.method.name));
        }
    }
    if !text.is_empty() {
        part.push_str("\n| message | fields | state | note | shown by |\n|---|---|---|---|---|\n");
        part.push_str(&text);
    }
}
