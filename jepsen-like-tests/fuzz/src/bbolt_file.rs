//! A database file of etcd: the first byte says whether the rest is the file, one to seal, or rows
//! to lay out.

use std::io::Cursor;

use bbolt::etcd::{self, Contents, Lease, Member};
use bbolt::{BboltError, Database, FUZZ_BUCKETS, Row};
use prost::Message as _;
use proto::authpb::{Permission, Role, User, UserAddOptions};
use proto::etcdserverpb::AlarmMember;
use proto::mvccpb::KeyValue;

/// Files with a few pages, and with one; and the rows of one in which nothing is missing.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let files = [(0, Contents::default()), (3, contents()), (60, Contents::default())];
    let files = files.map(|(revisions, contents)| file(revisions, contents));
    let mut seeds = vec![[vec![2], rows(&files[1])].concat()];
    for file in files {
        seeds.push([&[0], &file[..]].concat());
        seeds.push([&[1], &file[..]].concat());
    }
    seeds
}

fn file(revisions: i64, contents: Contents) -> Vec<u8> {
    let written = etcd::write(Cursor::new(Vec::new()), |rows| {
        for main in 1..=revisions {
            let name = [&main.to_be_bytes()[..], b"_", &[0; 8]].concat();
            let value = vec![b'v'; if main == 7 { 6_000 } else { 40 }].into();
            let kv = KeyValue { key: "k".into(), value, mod_revision: main, ..KeyValue::default() };
            rows.row(&name, &kv.encode_to_vec())?;
        }
        Ok::<_, BboltError>(contents)
    });
    written.expect("written to memory").0.into_inner()
}

fn contents() -> Contents {
    let permission = Permission { perm_type: 2, key: "a".into(), range_end: "b".into() };
    let user = User {
        name: "root".into(),
        password: "hash".into(),
        roles: vec!["root".to_owned()],
        options: Some(UserAddOptions { no_password: false }),
    };
    let urls = |port: u16| vec![format!("http://127.0.0.1:{port}")];
    let member = Member {
        id: 9,
        name: "m0".to_owned(),
        peer_urls: urls(2380),
        client_urls: urls(2379),
        is_learner: true,
    };
    Contents {
        consistent_index: 7,
        term: 2,
        scheduled_compaction: Some(2),
        finished_compaction: Some(2),
        storage_version: "3.7.0".to_owned(),
        cluster_version: "3.7.0".to_owned(),
        leases: vec![Lease { id: 5, ttl_s: 60, remaining_ttl_s: 3 }],
        alarms: vec![AlarmMember { member_id: 9, alarm: 1 }],
        auth_enabled: true,
        auth_revision: 3,
        users: vec![user],
        roles: vec![Role { name: "root".into(), key_permission: vec![permission] }],
        members: vec![member],
        removed_members: vec![10],
    }
}

/// A file's rows as they are laid out again.
fn rows(file: &[u8]) -> Vec<u8> {
    let database = Database::open(file).expect("just written");
    let mut framed = Vec::new();
    for (number, name) in (0..).zip(FUZZ_BUCKETS) {
        let Some(bucket) = database.bucket(name.as_bytes()).expect("just written") else {
            continue;
        };
        let read = database.rows(&bucket, &mut |key, row| {
            let Row::Value(value) = row else { return Ok(()) };
            framed.push(number);
            framed.push(u8::try_from(key.len()).expect("short keys"));
            framed.extend(u16::try_from(value.len()).expect("short values").to_le_bytes());
            framed.extend([key, value].concat());
            Ok::<_, BboltError>(())
        });
        read.expect("just written");
    }
    framed
}
