//! The API server's storage over this store: the suite that every storage must pass, and caches
//! over three members.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apiserver::cache::{Cache, ListQuery, Shape, WatchEvent, WatchQuery, Watcher};
use apiserver::storage::{
    EtcdOptions, EtcdStorage, Outcome, Revision, Storage, StorageError, Written, suite,
};

use crate::quorum::{leader, quorum};
use crate::support::{PATIENCE, Process, engram, free_ports};

fn storage(ports: &[u16]) -> Arc<EtcdStorage> {
    let endpoints: Vec<String> =
        ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    let storage = EtcdStorage::remote(&endpoints, EtcdOptions::default());
    Arc::new(storage.expect("the endpoints are fine"))
}

fn cache(storage: &Arc<EtcdStorage>) -> Arc<Cache> {
    let shape =
        Shape { prefix: "/things/".to_owned(), namespaced: true, fields: None, decode: None };
    Cache::start(Arc::clone(storage) as Arc<dyn Storage>, shape)
}

#[tokio::test]
async fn the_store_behaves_as_a_storage_must() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Process::server(engram(), &["server"], folder.path(), free_ports()).await;
    suite::run(storage(&[server.port])).await;
}

/// Writes a key on the condition that it is absent, until it is known to be there.
async fn create(storage: &EtcdStorage, key: &str) -> Revision {
    let name = key.rsplit('/').next().unwrap_or(key);
    let value = format!(r#"{{"kind":"Thing","metadata":{{"name":"{name}"}}}}"#);
    let end = Instant::now() + PATIENCE;
    loop {
        match storage.create(key, value.clone().into(), None).await {
            Ok(Written::Done { revision }) => return revision,
            // An earlier try was done after all, though its outcome was unknown.
            Ok(Written::Changed { current: Some(current), .. }) => return current.revision,
            Err(StorageError::Unavailable { outcome, .. }) => {
                assert!(matches!(outcome, Outcome::Unknown | Outcome::NotApplied));
            }
            other => panic!("{other:?}"),
        }
        assert!(Instant::now() < end, "{key} was not written in time");
    }
}

async fn added(watcher: &mut Watcher) -> (String, Revision) {
    match tokio::time::timeout(PATIENCE, watcher.next()).await.expect("told in time") {
        Some(WatchEvent::Added(told)) => {
            (told.object().name().to_owned(), told.object().revision())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn three_caches_over_three_members_are_as_one_while_their_leader_dies() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut members = quorum(folder.path(), 3).await;
    let ports: Vec<u16> = members.iter().map(|member| member.port).collect();
    // Each cache prefers another member, as three API servers do.
    let turned = |first: usize| -> Vec<u16> { (0..3).map(|at| ports[(first + at) % 3]).collect() };
    let storages: Vec<_> = (0..3).map(|first| storage(&turned(first))).collect();
    let caches: Vec<_> = storages.iter().map(cache).collect();
    let mut watchers = Vec::new();
    for cache in &caches {
        cache.ready().await.expect("filled");
        watchers.push(cache.watch(WatchQuery::default()).await.expect("opened"));
    }
    let mut written = Vec::new();
    for number in 0..60 {
        if number == 20 {
            let at = leader(&members).await;
            members[at].kill().await;
        }
        let name = format!("x{number:02}");
        let revision = create(&storages[number % 3], &format!("/things/a/{name}")).await;
        written.push((name, revision));
        let reader = &caches[(number + 1) % 3];
        let end = Instant::now() + PATIENCE;
        let listed = loop {
            match reader.list(ListQuery::default()).await {
                Ok(listed) => break listed,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
        };
        assert_eq!(listed.items.len(), number + 1, "a write that was answered is listed");
    }
    for watcher in &mut watchers {
        for wanted in &written {
            assert_eq!(&added(watcher).await, wanted);
        }
    }
}

#[tokio::test]
async fn a_cache_goes_on_where_it_was_when_the_store_was_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_ports();
    let start =
        async |data_dir: &Path| Process::server(engram(), &["server"], data_dir, port).await;
    let mut server = start(folder.path()).await;
    let storage = storage(&[port]);
    let cache = cache(&storage);
    cache.ready().await.expect("filled");
    let mut watcher = cache.watch(WatchQuery::default()).await.expect("opened");
    let first = create(&storage, "/things/a/x").await;
    assert_eq!(added(&mut watcher).await, ("x".to_owned(), first));
    server.kill().await;
    let query = ListQuery { resource_version: Some("0".to_owned()), ..ListQuery::default() };
    let stale = cache.list(query).await.expect("the cache needs no store for that");
    assert_eq!(stale.items.len(), 1);
    let _server = start(folder.path()).await;
    let second = create(&storage, "/things/a/y").await;
    assert_eq!(added(&mut watcher).await, ("y".to_owned(), second));
    cache.wait_passed(second).await.expect("passed");
    let quiet = tokio::time::timeout(Duration::from_millis(50), watcher.next()).await;
    assert!(quiet.is_err(), "nothing is told twice: {quiet:?}");
}
