//! A state that is exported and imported elsewhere: the same history, hash, leases, users.

extern crate engram_store as store;

mod support;

use std::sync::Arc;

use bytes::Bytes;
use proto::authpb::{Role, User};
use proto::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest,
};
use proto::log::command::Request;
use store::engine::Memory;
use store::{
    CompactProgress, ExportedHead, Import, ImportedHead, LogId, Revision, StorageError, Store,
};
use support::session::Session;

const AT: LogId = LogId { term: 0, index: 1 };

fn put(key: &str, value: &str, lease: i64) -> Request {
    let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), value.to_owned().into());
    Request::Put(PutRequest { key, value, lease, ..PutRequest::default() })
}

fn session() -> Session {
    let mut session = Session::new(Arc::new(Memory::new()));
    session.apply(vec![Request::LeaseGrant(LeaseGrantRequest { id: 77, ttl: 600 })]);
    for round in 0..20 {
        let value = round.to_string();
        session.apply(vec![put("a", &value, 0), put("b", &value, 77), put("c", &value, 0)]);
    }
    let gone = DeleteRangeRequest { key: "c".into(), ..DeleteRangeRequest::default() };
    session.apply(vec![Request::DeleteRange(gone)]);
    session.apply(vec![put("d", "last", 0)]);
    session
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn exported(session: &Session) -> (Rows, ExportedHead) {
    let mut rows = Rows::new();
    let head = session.reader().export(&mut |name, value| {
        rows.push((name.to_vec(), value.to_vec()));
        Ok::<_, StorageError>(())
    });
    (rows, head.expect("memory works"))
}

fn imported(rows: &Rows, head: &ExportedHead) -> Result<Store, StorageError> {
    let mut import = Import::new(Arc::new(Memory::new()), AT, "members".into())?;
    for (name, value) in rows {
        import.change(name, value)?;
    }
    head.leases.iter().try_for_each(|lease| import.lease(*lease))?;
    import.user(&User { name: "root".into(), ..User::default() })?;
    import.role(&Role { name: "root".into(), ..Role::default() })?;
    let known = |revision: Revision| Some(revision).filter(|revision| revision.0 >= 0);
    import.finish(ImportedHead {
        compacted: known(head.compacted),
        finished: known(head.finished),
        auth_enabled: true,
        auth_revision: 9,
    })
}

fn everything(revision: i64) -> RangeRequest {
    RangeRequest { key: "\0".into(), range_end: "\0".into(), revision, ..RangeRequest::default() }
}

#[test]
fn an_imported_state_is_the_exported_one() {
    let mut session = session();
    for compacted in [None, Some(10), Some(62)] {
        if let Some(revision) = compacted {
            session
                .apply(vec![Request::Compaction(CompactionRequest { revision, physical: false })]);
        }
        let (rows, head) = exported(&session);
        let store = imported(&rows, &head).expect("the same rows");
        let (ours, theirs) = (store.reader(), session.reader());
        assert_eq!(ours.revision(), theirs.revision());
        assert_eq!(ours.compacted_revision(), theirs.compacted_revision());
        assert_eq!(ours.leases(), theirs.leases());
        assert_eq!(ours.lease_keys(head.leases[0].id), theirs.lease_keys(head.leases[0].id));
        for revision in [0, 62, 63] {
            let at = everything(revision);
            let kvs = |reader: &store::Reader| reader.range(&at).expect("kept").kvs;
            assert_eq!(kvs(&ours), kvs(&theirs), "at {revision}");
            let hash = |reader: &store::Reader| reader.hash_kv(Revision(revision)).expect("kept");
            assert_eq!(hash(&ours), hash(&theirs), "at {revision}, compacted {compacted:?}");
        }
        assert_eq!(store.applied().log_id, Some(AT));
        assert_eq!(store.applied().membership.map(|stored| stored.bytes), Some("members".into()));
    }
}

#[test]
fn an_import_goes_on_with_a_compaction_that_was_not_finished() {
    let mut session = session();
    session.apply(vec![Request::Compaction(CompactionRequest { revision: 40, physical: false })]);
    let (rows, head) = exported(&session);
    assert!(head.finished < head.compacted);
    let mut store = imported(&rows, &head).expect("the same rows");
    let before = store.reader().hash_kv(Revision(0)).expect("kept");
    let progress = store.compact_step(usize::MAX).expect("memory works");
    assert!(matches!(progress, CompactProgress::Finished { rows, .. } if rows > 0), "{progress:?}");
    assert_eq!(store.reader().hash_kv(Revision(0)).expect("kept"), before);
}

#[test]
fn members_imported_from_other_rows_differ_in_their_digest() {
    let (rows, head) = exported(&session());
    let whole = imported(&rows, &head).expect("the same rows").applied().digest;
    assert_eq!(imported(&rows, &head).expect("the same rows").applied().digest, whole);
    let mut fewer = rows.clone();
    fewer.remove(3);
    assert_ne!(imported(&fewer, &head).expect("a valid history").applied().digest, whole);
}

#[test]
fn an_empty_row_raises_the_revision_and_is_no_key_of_a_client() {
    let (mut rows, head) = exported(&session());
    let name = [&1000_i64.to_be_bytes()[..], b"_", &[0; 8]].concat();
    rows.push((name, Vec::new()));
    let reader = imported(&rows, &head).expect("etcdutl writes such a row").reader();
    assert_eq!(reader.revision(), Revision(1000));
    let keys = reader.range(&everything(0)).expect("the present").kvs.len();
    assert_eq!(keys, 3, "a, b and d");
}

#[test]
fn rows_that_no_store_wrote_are_refused() {
    let (rows, head) = exported(&session());
    let name = [&1000_i64.to_be_bytes()[..], b"_", &[0; 8]].concat();
    // A value before its key; another revision; no protobuf; no key; a name that is none.
    let odd: [(&[u8], &[u8]); 5] = [
        (&name, b"\x2a\x01v\x0a\x01k\x18\xe8\x07"),
        (&name, b"\x0a\x01k\x18\x07"),
        (&name, b"\xff"),
        (&name, b"\x18\xe8\x07"),
        (&name[..5], b""),
    ];
    for (name, value) in odd {
        let mut rows = rows.clone();
        rows.push((name.to_vec(), value.to_vec()));
        let refused = imported(&rows, &head).err().expect("no store wrote it");
        assert!(matches!(refused, StorageError::Damaged(_)), "{value:02x?}: {refused}");
    }
}

#[test]
fn nothing_is_imported_over_a_state() {
    let engine = Arc::new(Memory::new());
    let import = Import::new(engine.clone(), AT, Bytes::new()).expect("empty");
    drop(import.finish(ImportedHead::default()).expect("an empty history"));
    assert!(Import::new(engine, AT, Bytes::new()).is_err());
}

#[test]
fn an_export_is_of_one_moment_and_members_hash_alike() {
    let (mut one, other) = (session(), session());
    assert_eq!(one.reader().hash().expect("kept"), other.reader().hash().expect("kept"));
    let mut seen = 0;
    let reader = one.reader();
    let head = reader.export(&mut |_, _| {
        seen += 1;
        if seen == 1 {
            one.apply(vec![put("late", "x", 0)]);
        }
        Ok::<_, StorageError>(())
    });
    let head = head.expect("memory works");
    assert_eq!((seen, head.revision), (62, Revision(63)), "the late put is not in it");
    assert_ne!(one.reader().hash().expect("kept"), other.reader().hash().expect("kept"));
}
