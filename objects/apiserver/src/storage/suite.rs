//! What every storage must do: one suite, run over each implementation.
//!
//! Every check works under a folder of its own and needs nothing of the storage but that nobody
//! else compacts it meanwhile.
//!
//! Must not know: which implementation it runs over.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{
    Batch, Change, ChangeKind, CompactionRound, Page, Revision, Storage, StorageError, WatchFrom,
    Watching, Written,
};

/// The longest a watch may take to tell what happened.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs every check, one after the other.
///
/// # Panics
/// When the storage does not do what it must.
pub async fn run(storage: Arc<dyn Storage>) {
    let storage = &*storage;
    a_key_is_created_once(storage).await;
    a_write_happens_only_at_the_expected_revision(storage).await;
    a_deletion_has_a_revision_and_is_conditional(storage).await;
    pages_walk_a_range_at_one_revision(storage).await;
    a_watch_delivers_every_change_once_in_order(storage).await;
    progress_follows_what_was_delivered(storage).await;
    of_writers_at_one_revision_one_wins(storage).await;
    values_with_a_time_to_live_go_away(storage).await;
    api_servers_take_turns_compacting(storage).await;
    compaction_ends_old_reads_and_watches(storage).await;
}

fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn done(written: Written) -> Revision {
    match written {
        Written::Done { revision } => revision,
        Written::Changed { .. } => panic!("the write was not done: {written:?}"),
    }
}

async fn put(storage: &dyn Storage, key: &str, text: &str) -> Revision {
    let before = storage.get(key).await.expect("read").stored;
    let expected = before.map_or(Revision::NONE, |stored| stored.revision);
    done(storage.replace(key, expected, value(text), None).await.expect("written"))
}

async fn a_key_is_created_once(storage: &dyn Storage) {
    let key = "/suite-create/a";
    assert_eq!(storage.get(key).await.expect("read").stored, None);
    let revision = done(storage.create(key, value("1"), None).await.expect("written"));
    let got = storage.get(key).await.expect("read");
    let stored = got.stored.expect("created");
    assert_eq!((stored.key.as_str(), &stored.value[..]), (key, &b"1"[..]));
    assert_eq!((stored.revision, stored.create_revision), (revision, revision));
    assert!(got.revision >= revision);
    match storage.create(key, value("2"), None).await.expect("answered") {
        Written::Changed { current, .. } => assert_eq!(current, Some(stored)),
        other => panic!("created twice: {other:?}"),
    }
}

async fn a_write_happens_only_at_the_expected_revision(storage: &dyn Storage) {
    let key = "/suite-replace/a";
    let first = put(storage, key, "1").await;
    let second = done(storage.replace(key, first, value("2"), None).await.expect("written"));
    assert!(second > first);
    match storage.replace(key, first, value("3"), None).await.expect("answered") {
        Written::Changed { current: Some(current), revision } => {
            assert_eq!((&current.value[..], current.revision), (&b"2"[..], second));
            assert_eq!(current.create_revision, first);
            assert!(revision >= second);
        }
        other => panic!("written over: {other:?}"),
    }
    let absent = storage.replace("/suite-replace/b", first, value("3"), None).await;
    assert!(matches!(absent, Ok(Written::Changed { current: None, .. })), "{absent:?}");
}

async fn a_deletion_has_a_revision_and_is_conditional(storage: &dyn Storage) {
    let key = "/suite-delete/a";
    let first = put(storage, key, "1").await;
    let stale = storage.delete_if(key, Revision(first.0 - 1)).await;
    assert!(matches!(stale, Ok(Written::Changed { current: Some(_), .. })), "{stale:?}");
    let deleted = done(storage.delete_if(key, first).await.expect("deleted"));
    assert!(deleted > first);
    assert_eq!(storage.get(key).await.expect("read").stored, None);
    let again = storage.delete_if(key, first).await;
    assert!(matches!(again, Ok(Written::Changed { current: None, .. })), "{again:?}");
}

async fn pages_walk_a_range_at_one_revision(storage: &dyn Storage) {
    let prefix = "/suite-page/";
    for at in 0..10 {
        put(storage, &format!("{prefix}{at}"), "old").await;
    }
    put(storage, "/suite-page-behind/x", "other").await;
    let first = Page { prefix, start: None, limit: 4, revision: Revision::NONE };
    let answer = storage.page(first).await.expect("read");
    assert_eq!((answer.items.len(), answer.more, answer.count), (4, true, 10));
    let revision = answer.revision;
    put(storage, "/suite-page/9", "new").await;
    put(storage, "/suite-page/91", "new").await;
    let eight = storage.get("/suite-page/8").await.expect("read").stored.expect("there");
    done(storage.delete_if("/suite-page/8", eight.revision).await.expect("deleted"));

    let rest = Page { start: Some("/suite-page/3\0"), limit: 100, revision, ..first };
    let rest = storage.page(rest).await.expect("read");
    assert_eq!((rest.more, rest.count, rest.revision), (false, 6, revision));
    let seen: Vec<_> = rest.items.iter().map(|item| (&*item.key, &item.value[..])).collect();
    let old = |key| (key, &b"old"[..]);
    let keys = ["/suite-page/4", "/suite-page/5", "/suite-page/6"];
    assert_eq!(seen[..3], keys.map(old));
    let keys = ["/suite-page/7", "/suite-page/8", "/suite-page/9"];
    assert_eq!(seen[3..], keys.map(old));

    let future = Page { revision: Revision(revision.0 + 1_000_000), ..first };
    assert_eq!(storage.page(future).await, Err(StorageError::FutureRevision));
    let newest = storage.page(Page { limit: 0, ..first }).await.expect("read");
    assert_eq!((newest.items.len(), newest.more), (10, false));
    assert!(newest.revision > revision);
}

async fn next_batch(watching: &mut Watching) -> Batch {
    let next = tokio::time::timeout(PATIENCE, watching.next()).await;
    next.expect("the watch tells in time").expect("the watch goes on").expect("no error")
}

async fn changes(watching: &mut Watching, count: usize) -> Vec<Change> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(next_batch(watching).await.changes);
    }
    assert_eq!(seen.len(), count, "{seen:?}");
    seen
}

async fn a_watch_delivers_every_change_once_in_order(storage: &dyn Storage) {
    let key = "/suite-watch/a";
    let first = put(storage, key, "1").await;
    let second = put(storage, key, "2").await;
    let from = WatchFrom { prefix: "/suite-watch/", revision: second };
    let mut watching = storage.watch(from).await.expect("opened");
    put(storage, "/suite-watch-behind", "other").await;
    let third = done(storage.delete_if(key, second).await.expect("deleted"));
    let fourth = put(storage, key, "4").await;
    let seen = changes(&mut watching, 3).await;
    let old = |text| Some(value(text));
    let expected = [
        (ChangeKind::Replaced, second, value("2"), old("1")),
        (ChangeKind::Deleted, third, Bytes::new(), old("2")),
        (ChangeKind::Created, fourth, value("4"), None),
    ];
    for (change, (kind, revision, value, previous)) in seen.into_iter().zip(expected) {
        let wanted = Change { kind, key: key.to_owned(), revision, value, previous };
        assert_eq!(change, wanted);
    }
    assert!(first < second);
}

async fn progress_follows_what_was_delivered(storage: &dyn Storage) {
    let start = storage.current_revision().await.expect("read").next();
    let from = WatchFrom { prefix: "/suite-progress/", revision: start };
    let mut watching = storage.watch(from).await.expect("opened");
    let own = put(storage, "/suite-progress/a", "1").await;
    let other = put(storage, "/suite-elsewhere/a", "1").await;
    assert!(storage.current_revision().await.expect("read") >= other);
    let mut seen = 0;
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        watching.request_progress();
        // A watch that is still catching up does not answer: it is asked again.
        let pause = Duration::from_millis(50);
        let Ok(batch) = tokio::time::timeout(pause, next_batch(&mut watching)).await else {
            assert!(tokio::time::Instant::now() < end, "no word of the progress");
            continue;
        };
        seen += batch.changes.iter().filter(|change| change.revision == own).count();
        match batch.progress {
            Some(passed) if passed >= other => break,
            _ => {}
        }
    }
    assert_eq!(seen, 1, "the change is delivered before the word that it was");
}

async fn of_writers_at_one_revision_one_wins(storage: &dyn Storage) {
    let key = "/suite-race/a";
    let first = put(storage, key, "0").await;
    let race = (0..8).map(|at| storage.replace(key, first, value(&at.to_string()), None));
    let ended = futures::future::join_all(race).await;
    let won = |written: &&Result<Written, _>| matches!(written, Ok(Written::Done { .. }));
    assert_eq!(ended.iter().filter(won).count(), 1, "{ended:?}");
}

async fn values_with_a_time_to_live_go_away(storage: &dyn Storage) {
    let ttl = Some(Duration::from_secs(1));
    let start = storage.current_revision().await.expect("read").next();
    let from = WatchFrom { prefix: "/suite-ttl/", revision: start };
    let mut watching = storage.watch(from).await.expect("opened");
    for key in ["/suite-ttl/a", "/suite-ttl/b"] {
        done(storage.create(key, value("short"), ttl).await.expect("written"));
    }
    done(storage.create("/suite-ttl/c", value("long"), None).await.expect("written"));
    let seen = changes(&mut watching, 5).await;
    let gone = seen.iter().filter(|change| change.kind == ChangeKind::Deleted);
    let mut gone: Vec<_> = gone.map(|change| change.key.as_str()).collect();
    gone.sort_unstable();
    assert_eq!(gone, ["/suite-ttl/a", "/suite-ttl/b"]);
    assert!(storage.get("/suite-ttl/c").await.expect("read").stored.is_some());
}

async fn api_servers_take_turns_compacting(storage: &dyn Storage) {
    let nothing = CompactionRound::default();
    // Two servers that know nothing: at most one of them raises the record.
    let first = storage.compaction_round(nothing).await.expect("answered");
    let second = storage.compaction_round(nothing).await.expect("answered");
    assert!(first.number >= 1 && second.number == first.number, "{first:?} {second:?}");
    let next = storage.compaction_round(second).await.expect("answered");
    assert_eq!((next.number, next.compacted), (second.number + 1, second.revision));
    let late = storage.compaction_round(first).await.expect("answered");
    assert_eq!((late.number, late.compacted), (next.number, next.compacted));
}

async fn compaction_ends_old_reads_and_watches(storage: &dyn Storage) {
    let prefix = "/suite-compact/";
    let first = put(storage, "/suite-compact/a", "1").await;
    let second = put(storage, "/suite-compact/a", "2").await;
    let third = put(storage, "/suite-compact/b", "3").await;
    storage.compact(second).await.expect("compacted");
    let page = |revision| Page { prefix, start: None, limit: 0, revision };
    let old = storage.page(page(first)).await;
    assert!(matches!(old, Err(StorageError::Compacted { .. })), "{old:?}");
    let kept = storage.page(page(second)).await.expect("the compacted revision itself is kept");
    assert_eq!(kept.items.len(), 1);
    let again = storage.compact(second).await;
    assert!(matches!(again, Err(StorageError::Compacted { .. })), "{again:?}");

    let mut watching = storage.watch(WatchFrom { prefix, revision: first }).await.expect("opened");
    let end = tokio::time::timeout(PATIENCE, watching.next()).await.expect("told in time");
    assert!(matches!(end, Some(Err(StorageError::Compacted { .. }))), "{end:?}");
    assert!(watching.next().await.is_none(), "nothing follows an error");
    let mut watching = storage.watch(WatchFrom { prefix, revision: third }).await.expect("opened");
    assert_eq!(changes(&mut watching, 1).await[0].revision, third);
}
