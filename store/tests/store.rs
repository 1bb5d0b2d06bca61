//! The store around its commands: positions, restarts, installs, checkpoints, faults, readers
//! beside the writer.

extern crate engram_store as store;

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use proto::etcdserverpb::{CompactionRequest, LeaseGrantRequest, PutRequest, RangeRequest};
use proto::log::command::Request;
use proto::log::{Batch, MemberAttributes, StateMachineVersion};
use store::engine::{Engine, Engines, Faults, Memory, MemoryEngines, Space, WriteBatch};
use store::{
    Answers, CompactProgress, LogId, MemberId, ReadError, Response, Revision, StorageError, Store,
    StoreOptions, StoredMembership,
};
use support::session::{Session, open};

fn put(key: &str, value: &str) -> Request {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), value.to_owned().into());
    Request::Put(PutRequest { key, value, ..PutRequest::default() })
}

fn compact(revision: i64) -> Request {
    Request::Compaction(CompactionRequest { revision, physical: false })
}

fn everything(revision: i64) -> RangeRequest {
    RangeRequest { key: "\0".into(), range_end: "\0".into(), revision, ..RangeRequest::default() }
}

fn in_memory() -> Session {
    Session::new(Arc::new(Memory::new()))
}

#[test]
fn entries_are_applied_once_and_in_order() {
    let mut session = in_memory();
    session.apply(vec![put("a", "1")]);
    for index in [0, 1, 3] {
        let again = AssertUnwindSafe(|| {
            let _ = session.store.apply_blank(LogId { term: 1, index });
        });
        assert!(catch_unwind(again).is_err(), "index {index} is not the next one");
    }
    session.store.apply_blank(LogId { term: 1, index: 2 }).expect("the next one is applied");
}

#[test]
fn every_kind_of_entry_moves_position_and_digest() {
    let mut store = open(Arc::new(Memory::new()));
    let mut digests = vec![store.applied().digest];
    store.apply_blank(LogId { term: 1, index: 1 }).expect("memory works");
    digests.push(store.applied().digest);
    let membership = Bytes::from("three members");
    let at = LogId { term: 2, index: 2 };
    store.apply_membership(at, membership.clone(), &[], &[]).expect("memory works");
    digests.push(store.applied().digest);
    let empty = Batch { state_machine_version: 1, commands: Vec::new() };
    store.apply(LogId { term: 2, index: 3 }, &empty, Answers::Skip).expect("memory works");
    digests.push(store.applied().digest);
    let applied = store.applied();
    assert_eq!(applied.log_id, Some(LogId { term: 2, index: 3 }));
    let stored = StoredMembership { log_id: Some(at), bytes: membership };
    assert_eq!(applied.membership, Some(stored));
    let reader = store.reader();
    assert_eq!((reader.applied_index(), reader.revision()), (3, Revision(1)));
    digests.sort_unstable_by_key(|digest| digest.0);
    digests.dedup();
    assert_eq!(digests.len(), 4);
}

#[test]
fn a_checkpoint_says_how_far_it_is_applied_and_an_install_follows_it() {
    let mut session = in_memory();
    session.apply(vec![put("a", "1"), put("b", "1")]);
    let at = session.next;
    session.store.apply_membership(at, "members".into(), &[], &[]).expect("memory works");
    let reader = session.reader();
    let (checkpoint, applied) = reader.checkpoint(Path::new("unused")).expect("memory works");
    assert_eq!(applied, session.store.applied());

    let follower = MemoryEngines::new();
    let mut store = open(follower.open_current().expect("memory works"));
    let followed = store.reader();
    let mut sink = follower.receive().expect("memory works");
    for file in checkpoint.files() {
        let bytes = checkpoint.read(&file.name, 0, usize::MAX).expect("memory works");
        sink.write(&file.name, 0, &bytes).expect("memory works");
    }
    let engine = sink.finish(checkpoint.files()).expect("all was sent");
    store.install(engine).expect("the state is whole");
    assert_eq!(store.applied(), applied);
    assert_eq!(followed.revision(), Revision(3), "readers follow an install");
    let range = |reader: &store::Reader| reader.range(&everything(0)).expect("the present");
    assert_eq!(range(&followed), range(&reader));
}

#[test]
fn a_failed_write_shows_nothing_of_its_entry() {
    let memory = Memory::new();
    let mut store = open(Arc::new(memory.clone()));
    let batch = |request| Batch {
        state_machine_version: 1,
        commands: vec![proto::log::Command { header: None, request: Some(request) }],
    };
    let at = |index| LogId { term: 1, index };
    store.apply(at(1), &batch(put("a", "1")), Answers::Skip).expect("memory works");
    let before = (store.applied(), store.reader().range(&everything(0)).expect("the present"));
    memory.set_faults(Faults { write: 1, flush: 0 });
    let failed = store.apply(at(2), &batch(put("a", "2")), Answers::Skip);
    assert!(matches!(failed, Err(StorageError::Injected(_))));
    let after = (store.applied(), store.reader().range(&everything(0)).expect("the present"));
    assert_eq!(before, after);
}

#[test]
fn the_durable_position_is_that_of_the_last_flush() {
    let mut session = in_memory();
    session.apply(vec![put("a", "1")]);
    assert_eq!(session.store.durable_applied().expect("memory works"), None);
    session.store.flush().expect("memory works");
    session.apply(vec![put("a", "2")]);
    let durable = session.store.durable_applied().expect("memory works");
    assert_eq!(durable, Some(LogId { term: 1, index: 1 }));
}

#[test]
fn members_and_the_state_machine_version_are_kept() {
    let mut session = in_memory();
    let attributes = |name: &str| MemberAttributes {
        member_id: 7,
        name: name.into(),
        client_urls: vec!["http://127.0.0.1:2379".into()],
    };
    session.one(Request::MemberAttributes(attributes("before")));
    let outcome = session.one(Request::MemberAttributes(attributes("after")));
    assert_eq!(outcome.result, Ok(Response::MemberAttributes));
    for version in [1, 0] {
        let raise = Request::StateMachineVersion(StateMachineVersion { version });
        assert_eq!(session.one(raise).result, Ok(Response::StateMachineVersion));
    }
    session.reopen();
    assert_eq!(session.reader().members(), [attributes("after")]);
    assert_eq!(session.reader().state_machine_version(), 1);
}

#[test]
fn hash_kv_is_etcds() {
    let mut session = in_memory();
    session.one(Request::LeaseGrant(LeaseGrantRequest { id: 7, ttl: 60 }));
    let leased = PutRequest { key: "y".into(), value: "2".into(), lease: 7, ..Default::default() };
    let plain = PutRequest { key: "x".into(), value: "1".into(), ..Default::default() };
    let operation = |put| proto::etcdserverpb::RequestOp {
        request: Some(proto::etcdserverpb::request_op::Request::RequestPut(put)),
    };
    session.one(Request::Txn(proto::etcdserverpb::TxnRequest {
        success: vec![operation(plain), operation(leased)],
        ..Default::default()
    }));
    session.one(put("x", &"v".repeat(300)));
    let hash = session.reader().hash_kv(Revision(0)).expect("the present");
    // Worked out by hand of the published format, by other code than this.
    assert_eq!(hash.hash, 1_119_781_216);
    assert_eq!((hash.compact_revision, hash.hash_revision), (Revision(-1), Revision(3)));
}

#[test]
fn damaged_rows_do_not_open() {
    let spoil = |spoil: &dyn Fn(&mut WriteBatch)| {
        let memory = Arc::new(Memory::new());
        let mut session = Session::new(memory.clone());
        session.one(Request::LeaseGrant(LeaseGrantRequest { id: 7, ttl: 60 }));
        let leased = PutRequest { key: "k".into(), lease: 7, ..PutRequest::default() };
        session.one(Request::Put(leased));
        let mut batch = WriteBatch::new();
        spoil(&mut batch);
        memory.write(batch).expect("memory works");
        Store::open(memory, StoreOptions::default()).map(drop)
    };
    spoil(&|_| ()).expect("an unspoiled store opens");
    let name = |main: u8| [&[0; 7], &[main, b'_'][..], &[0; 8]].concat();
    let spoiled: [&dyn Fn(&mut WriteBatch); 6] = [
        &|batch| batch.put(Space::Meta, &b"state"[..], &b"\x01....garbage"[..]),
        &|batch| batch.delete(Space::Meta, &b"state"[..]),
        &|batch| batch.put(Space::KeyValues, name(9), &b"\x0a\x01k"[..]),
        &|batch| batch.put(Space::KeyValues, name(2), &b"\x0a\x01k\x18\x01"[..]),
        &|batch| batch.put(Space::KeyValues, &b"short"[..], &b"\x0a\x01k"[..]),
        &|batch| batch.delete(Space::Leases, 7i64.to_be_bytes().to_vec()),
    ];
    for (number, spoiled) in spoiled.into_iter().enumerate() {
        let result = spoil(spoiled);
        assert!(matches!(result, Err(StorageError::Damaged(_))), "{number}: {result:?}");
    }
}

/// Readers that never stop, while the writer overwrites and compacts under them: each answer is of
/// one moment, and none is lost to a compaction that its revision survives.
#[test]
fn readers_beside_compaction_see_whole_moments() {
    let mut session = in_memory();
    let names: Vec<String> = (0..50).map(|number| format!("k{number:02}")).collect();
    session.apply(names.iter().map(|name| put(name, "0")).collect());
    let done = AtomicBool::new(false);
    let reader = session.reader();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let (reader, done) = (reader.clone(), &done);
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let range = reader.range(&everything(0)).expect("the present is always there");
                    assert_eq!((range.kvs.len(), range.count), (50, 50));
                    let revision = range.header.expect("answers have one").revision;
                    match reader.range(&everything(revision)) {
                        Ok(again) => assert_eq!(again.kvs, range.kvs),
                        Err(ReadError::Compacted { compact_revision }) => {
                            assert!(compact_revision.0 > revision);
                        }
                        Err(other) => panic!("{other}"),
                    }
                }
            });
        }
        for round in 1..200 {
            let value = round.to_string();
            let entry = names.iter().map(|name| put(name, &value)).collect();
            let revision = session.apply(entry).revision;
            if round % 3 == 0 {
                session.apply(vec![compact(revision.0 - 25)]);
                while session.compact_step(7) != CompactProgress::Idle {}
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn what_a_removed_member_said_of_itself_is_forgotten_with_the_membership() {
    let mut session = in_memory();
    for member_id in [1, 2] {
        let said =
            MemberAttributes { member_id, name: format!("m{member_id}"), ..Default::default() };
        session.one(Request::MemberAttributes(said));
    }
    let at = session.next;
    let left = [store::MemberId(1)];
    let gone = [store::MemberId(2)];
    session.store.apply_membership(at, "one".into(), &left, &gone).expect("memory works");
    let names = |reader: &store::Reader| -> Vec<String> {
        reader.members().into_iter().map(|member| member.name).collect()
    };
    assert_eq!(names(&session.reader()), ["m1"]);
}

#[test]
fn who_left_is_known_for_good() {
    let mut session = in_memory();
    let ids = |ids: &[u64]| -> Vec<MemberId> { ids.iter().copied().map(MemberId).collect() };
    for (members, left) in [(&[1, 3][..], &[2][..]), (&[1], &[3]), (&[1, 4], &[])] {
        let at = session.next;
        let membership = format!("{members:?}").into();
        session
            .store
            .apply_membership(at, membership, &ids(members), &ids(left))
            .expect("memory works");
        session.next.index += 1;
    }
    session.reopen();
    let head = session.reader().export::<StorageError>(&mut |_, _| Ok(())).expect("memory works");
    assert_eq!(head.removed_members, ids(&[2, 3]));
}
