//! What is written is read back, and hangs together as bbolt's own check demands.

use std::collections::BTreeMap;
use std::io::Cursor;

use engram_bbolt::etcd::{self, Contents, Lease, Member};
use engram_bbolt::{BboltError, Database, Row, Writer};
use proptest::prelude::*;
use proto::authpb::{Role, User};
use proto::etcdserverpb::AlarmMember;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn written(buckets: &BTreeMap<Vec<u8>, Rows>) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new())).expect("memory takes it");
    for (name, rows) in buckets {
        writer.whole_bucket(name, rows).expect("sorted");
    }
    let (file, length) = writer.finish().expect("memory takes it");
    assert_eq!(file.get_ref().len() as u64, length, "the length is the file's");
    file.into_inner()
}

fn read(file: &[u8]) -> BTreeMap<Vec<u8>, Rows> {
    let database = Database::open(file).expect("sound");
    database.check().expect("sound");
    let mut buckets = BTreeMap::new();
    let mut names = Vec::new();
    database
        .rows(&database.root(), &mut |name, row| {
            let Row::Bucket(bucket) = row else { panic!("the root holds buckets alone") };
            names.push((name.to_vec(), bucket));
            Ok::<_, BboltError>(())
        })
        .expect("sound");
    for (name, bucket) in names {
        let mut rows = Rows::new();
        database
            .rows(&bucket, &mut |key, row| {
                let Row::Value(value) = row else { panic!("no bucket was nested") };
                rows.insert(key.to_vec(), value.to_vec());
                Ok::<_, BboltError>(())
            })
            .expect("sound");
        buckets.insert(name, rows);
    }
    buckets
}

fn rows() -> impl Strategy<Value = Rows> {
    let key = prop::collection::vec(any::<u8>(), 1..40);
    let small = prop::collection::vec(any::<u8>(), 0..40);
    let large = (0..20_000_usize).prop_map(|length| vec![7; length]);
    prop::collection::btree_map(key, prop_oneof![8 => small, 1 => large], 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn buckets_are_read_back(
        buckets in prop::collection::btree_map(prop::collection::vec(1_u8.., 1..9), rows(), 0..6)
    ) {
        prop_assert_eq!(read(&written(&buckets)), buckets);
    }
}

#[test]
fn a_tree_of_three_levels_is_read_back() {
    let rows: Rows =
        (0..60_000_u32).map(|n| (n.to_be_bytes().to_vec(), n.to_le_bytes().to_vec())).collect();
    let buckets = BTreeMap::from([(b"key".to_vec(), rows)]);
    assert_eq!(read(&written(&buckets)), buckets);
}

#[test]
fn rows_longer_than_a_page_are_read_back() {
    let rows: Rows = (0..20_usize).map(|n| (vec![n as u8], vec![1; n * 4000])).collect();
    let long_keys: Rows = (0..200_u8).map(|n| (vec![n; 3000], vec![n])).collect();
    let buckets = BTreeMap::from([(b"a".to_vec(), rows), (b"b".to_vec(), long_keys)]);
    assert_eq!(read(&written(&buckets)), buckets);
}

#[test]
fn rows_out_of_order_are_not_written() {
    let mut writer = Writer::new(Cursor::new(Vec::new())).expect("memory takes it");
    let mut bucket = writer.bucket(b"key").expect("new");
    bucket.row(b"b", b"").expect("first");
    for key in [&b"b"[..], b"a", b""] {
        assert!(matches!(bucket.row(key, b""), Err(BboltError::Unwritable(_))), "{key:?}");
    }
    bucket.finish().expect("the good row is there");
    assert!(writer.bucket(b"key").is_err(), "a name is taken once");
}

#[test]
fn an_unfinished_file_is_no_database() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file).expect("memory takes it");
    writer.whole_bucket(b"key", [(b"a", b"b")]).expect("sorted");
    drop(writer);
    let refused = Database::open(file.get_ref().as_slice()).expect_err("no meta page");
    assert!(matches!(refused, BboltError::NotADatabase(_)), "{refused}");
}

fn sample() -> Contents {
    Contents {
        consistent_index: 77,
        term: 3,
        scheduled_compaction: Some(9),
        finished_compaction: Some(8),
        storage_version: "3.7.0".into(),
        cluster_version: "3.7.0".into(),
        leases: vec![
            Lease { id: 5, ttl_s: 60, remaining_ttl_s: 0 },
            Lease { id: i64::MAX, ttl_s: 9, remaining_ttl_s: 4 },
        ],
        alarms: vec![AlarmMember { member_id: 7, alarm: 1 }],
        auth_enabled: true,
        auth_revision: 4,
        users: vec![User { name: "root".into(), password: "hash".into(), ..Default::default() }],
        roles: vec![Role { name: "root".into(), ..Default::default() }],
        members: vec![
            Member {
                id: 0x10,
                name: "a".into(),
                peer_urls: vec!["http://a:1".into()],
                client_urls: vec!["http://a:2".into()],
                is_learner: false,
            },
            Member { id: 0x11, is_learner: true, ..Member::default() },
        ],
        removed_members: vec![0xff],
    }
}

#[test]
fn etcds_contents_are_read_back() {
    let name = *b"\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0";
    let (file, _) = etcd::write(Cursor::new(Vec::new()), |rows| {
        rows.row(&name, b"kv")?;
        rows.row(&[&name[..], b"t"].concat(), b"gone")?;
        Ok::<_, BboltError>(sample())
    })
    .expect("written");
    let file = file.into_inner();
    let database = Database::open(file.as_slice()).expect("sound");
    database.check().expect("sound");
    assert_eq!(etcd::contents(&database).expect("etcd's rows"), sample());
    let mut changes = Vec::new();
    etcd::each_change(&database, &mut |change| {
        changes.push((change.main, change.sub, change.tombstone, change.value.to_vec()));
        Ok::<_, BboltError>(())
    })
    .expect("etcd's rows");
    assert_eq!(changes, [(2, 0, false, b"kv".to_vec()), (2, 0, true, b"gone".to_vec())]);
}
