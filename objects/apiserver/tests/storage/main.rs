//! The storage against the real etcd: the suite that every implementation must pass, and what only
//! processes and sockets can show.
//!
//! Needs the real etcd under `$ENGRAM_CACHE/peers/bin` (or `$ENGRAM_PEERS`); says loudly when it is
//! not there.

mod etcd;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use engram_apiserver::storage::{
    EtcdOptions, EtcdStorage, Outcome, Revision, Storage, StorageError, WatchFrom, Written, suite,
};
use etcd::Etcd;

/// The longest anything here may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn options() -> EtcdOptions {
    EtcdOptions { deadline: Duration::from_secs(5), ..EtcdOptions::default() }
}

fn storage(endpoints: &[String]) -> EtcdStorage {
    EtcdStorage::remote(endpoints, options()).expect("endpoints are fine")
}

#[tokio::test]
async fn the_real_etcd_behaves_as_a_storage_must() {
    let Some(etcd) = Etcd::start() else { return };
    let storage = storage(&[etcd.url()]);
    etcd.ready(&storage).await;
    suite::run(Arc::new(storage)).await;
}

#[tokio::test]
async fn keys_stand_under_the_prefix_and_prefixes_do_not_see_each_other() {
    let Some(etcd) = Etcd::start() else { return };
    let ours = storage(&[etcd.url()]);
    etcd.ready(&ours).await;
    let bare = EtcdOptions { prefix: String::new(), ..options() };
    let bare = EtcdStorage::remote(&[etcd.url()], bare).expect("fine");
    let key = "/configmaps/default/a";
    ours.create(key, Bytes::from_static(b"{}"), None).await.expect("written");
    let full = bare.get("/registry/configmaps/default/a").await.expect("read");
    assert!(full.stored.is_some());
    let other = EtcdOptions { prefix: "other/".to_owned(), ..options() };
    let other = EtcdStorage::remote(&[etcd.url()], other).expect("fine");
    assert_eq!(other.get(key).await.expect("read").stored, None);
}

#[tokio::test]
async fn a_dead_endpoint_is_left_for_the_next_one() {
    let Some(etcd) = Etcd::start() else { return };
    let port = programs::free_ports(1).expect("a free port")[0];
    let dead = format!("http://127.0.0.1:{port}");
    let storage = storage(&[dead, etcd.url()]);
    etcd.ready(&storage).await;
    // Nothing could be sent to the dead one, so that even writes may go on to the next.
    let written = storage.create("/a", Bytes::from_static(b"1"), None).await;
    assert!(matches!(written, Ok(Written::Done { .. })), "{written:?}");
    let from = WatchFrom { prefix: "/", revision: Revision(1) };
    let mut watching = storage.watch(from).await.expect("opened");
    let first = watching.next().await.expect("open").expect("told");
    assert_eq!(first.changes[0].key, "/a");
}

#[tokio::test]
async fn a_store_that_is_gone_is_told_in_time_and_found_again_when_it_is_back() {
    let Some(mut etcd) = Etcd::start() else { return };
    let storage = storage(&[etcd.url()]);
    etcd.ready(&storage).await;
    storage.create("/a", Bytes::from_static(b"1"), None).await.expect("written");
    let revision = storage.current_revision().await.expect("read");
    let from = WatchFrom { prefix: "/", revision: revision.next() };
    let mut watching = storage.watch(from).await.expect("opened");

    etcd.kill();
    let end = tokio::time::timeout(PATIENCE, watching.next()).await.expect("told in time");
    assert!(matches!(end, Some(Err(StorageError::Unavailable { .. }))), "{end:?}");
    let began = Instant::now();
    let failed = storage.get("/a").await;
    assert!(
        matches!(failed, Err(StorageError::Unavailable { outcome: Outcome::NotApplied, .. })),
        "{failed:?}"
    );
    assert!(began.elapsed() < options().deadline + Duration::from_secs(1));

    etcd.restart();
    etcd.ready(&storage).await;
    assert!(storage.get("/a").await.expect("read").stored.is_some());
    let mut watching = storage.watch(from).await.expect("opened");
    let second = storage.create("/b", Bytes::from_static(b"2"), None).await.expect("written");
    let batch = watching.next().await.expect("open").expect("told");
    assert!(matches!(second, Written::Done { revision } if revision == batch.changes[0].revision));
}
