//! A file of etcd's Raft log: the first byte says whether the rest is the file, or records to seal.

use bytes::Bytes;
use etcd_wal::{Entry, HardState, SnapshotMark, record_kind, seal};
use prost::Message as _;
use proto::etcdserverpb::{InternalRaftRequest, LeaseGrantRequest, PutRequest};

/// Begins the next file, among kinds of records.
const NEXT_FILE: i64 = 255;

/// Logs with a few entries, as a file and as records.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let records = records();
    let mut seeds = Vec::new();
    for until in [2, 4, records.len()] {
        let file = seal(&mut 0, &records[..until]);
        seeds.push([&[0][..], &file, &[0; 16]].concat());
        seeds.push([vec![1], records[..until].iter().flat_map(framed).collect()].concat());
    }
    // The same in two files, the second of which goes on with the chain of the first.
    let (first, second) = records.split_at(6);
    let next = [(NEXT_FILE, Bytes::new()), (record_kind::CHECKSUM, Bytes::new())];
    let parts = first.iter().chain(&next).chain(second);
    seeds.push([vec![1], parts.flat_map(framed).collect()].concat());
    seeds
}

fn framed((kind, data): &(i64, Bytes)) -> Vec<u8> {
    let kind = u8::try_from(*kind).expect("a small number");
    let length = u16::try_from(data.len()).expect("short records").to_le_bytes();
    [&[kind][..], &length, data].concat()
}

fn records() -> Vec<(i64, Bytes)> {
    let put = PutRequest { key: "a".into(), value: "b".into(), ..PutRequest::default() };
    let put = InternalRaftRequest { put: Some(put), ..InternalRaftRequest::default() };
    let grant = Some(LeaseGrantRequest { id: 7, ttl: 60 });
    let grant = InternalRaftRequest { lease_grant: grant, ..InternalRaftRequest::default() };
    let entry = |index, request: &InternalRaftRequest| {
        let data = request.encode_to_vec().into();
        (record_kind::ENTRY, Entry { index, term: 1, data, ..Entry::default() }.encode_to_vec())
    };
    let state =
        |commit| (record_kind::STATE, HardState { term: 1, vote: 9, commit }.encode_to_vec());
    let mark = |index| (record_kind::SNAPSHOT, SnapshotMark { index, term: 1 }.encode_to_vec());
    let rows = [
        (record_kind::CHECKSUM, Vec::new()),
        (record_kind::METADATA, vec![8, 9, 16, 10]),
        (record_kind::SNAPSHOT, Vec::new()),
        entry(1, &put),
        state(1),
        entry(2, &grant),
        entry(3, &put),
        entry(3, &grant),
        state(2),
        mark(2),
    ];
    rows.map(|(kind, data)| (kind, data.into())).to_vec()
}
