//! What lists of many objects and many watchers cost a watch cache, over a storage in memory:
//! `cargo run --release -p engram-apiserver --example cache_load`.
//!
//! Prints numbers and judges nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engram_apiserver::cache::{Cache, ListQuery, Selection, Shape, WatchQuery};
use engram_apiserver::storage::{MemoryStorage, Revision, Storage, Written};

const OBJECTS: usize = 10_000;
const OBJECT_BYTES: usize = 1_000;
const WATCHERS: usize = 500;
const CHANGES: usize = 1_000;
const ROUNDS: u32 = 20;

fn value(number: usize, word: &str) -> Vec<u8> {
    let filler = "x".repeat(OBJECT_BYTES.saturating_sub(200));
    let metadata = format!(
        "{{\"creationTimestamp\":\"2026-01-01T00:00:00Z\",\"labels\":{{\"n\":\"{}\"}},\
         \"name\":\"m{number:05}\",\"namespace\":\"default\",\"uid\":\"{number:032}\"}}",
        number % 10
    );
    let data = format!("{{\"a\":\"{filler}\",\"b\":\"{word}\"}}");
    let kind = "\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\"";
    format!("{{{kind},\"data\":{data},\"metadata\":{metadata}}}").into_bytes()
}

fn key(number: usize) -> String {
    format!("/configmaps/default/m{number:05}")
}

fn done(written: Written) -> Revision {
    match written {
        Written::Done { revision } => revision,
        Written::Changed { .. } => panic!("nobody else writes"),
    }
}

#[tokio::main]
async fn main() {
    let storage = Arc::new(MemoryStorage::new());
    let mut revisions = Vec::with_capacity(OBJECTS);
    for number in 0..OBJECTS {
        let written = storage.create(&key(number), value(number, "first").into(), None).await;
        revisions.push(done(written.expect("memory does not fail")));
    }
    let shape =
        Shape { prefix: "/configmaps/".into(), namespaced: true, fields: None, decode: None };
    let began = Instant::now();
    let cache = Cache::start(Arc::clone(&storage) as Arc<dyn Storage>, shape);
    cache.ready().await.expect("filled");
    println!("filling the cache with {OBJECTS} objects: {:?}", began.elapsed());
    lists(&cache).await;
    watchers(&storage, &cache, &mut revisions).await;
}

async fn lists(cache: &Cache) {
    let stale = Some("0".to_owned());
    let rows = [
        ("consistent", ListQuery::default()),
        ("any revision", ListQuery { resource_version: stale.clone(), ..Default::default() }),
        (
            "one label in ten",
            ListQuery {
                resource_version: stale,
                selection: Selection::by(|object| {
                    object.labels().get("n").is_some_and(|n| n == "3")
                }),
                ..Default::default()
            },
        ),
    ];
    for (name, query) in rows {
        let (mut took, mut wrote, mut bytes) = (Duration::ZERO, Duration::ZERO, 0);
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let listed = cache.list(query.clone()).await.expect("listed");
            took += began.elapsed();
            let began = Instant::now();
            bytes = listed.json("ConfigMapList", "v1").len();
            wrote += began.elapsed();
        }
        let (took, wrote) = (took / ROUNDS, wrote / ROUNDS);
        println!("list, {name}: {took:?} to find, {wrote:?} to write {bytes} bytes");
    }
}

async fn watchers(storage: &MemoryStorage, cache: &Arc<Cache>, revisions: &mut [Revision]) {
    let mut tasks = Vec::new();
    for _ in 0..WATCHERS {
        let query = WatchQuery {
            resource_version: Some(cache.passed().to_string()),
            ..WatchQuery::default()
        };
        let mut watcher = cache.watch(query).await.expect("opened");
        tasks.push(tokio::spawn(async move {
            let mut bytes = 0;
            for _ in 0..CHANGES {
                match watcher.next().await {
                    Some(engram_apiserver::cache::WatchEvent::Modified(object)) => {
                        bytes += object.line().len()
                    }
                    other => panic!("{other:?}"),
                }
            }
            bytes
        }));
    }
    let began = Instant::now();
    for change in 0..CHANGES {
        let number = change % OBJECTS;
        let value = value(number, "second").into();
        let written = storage.replace(&key(number), revisions[number], value, None).await;
        revisions[number] = done(written.expect("memory does not fail"));
        // As writes through a log come: a few at a time, not all at once.
        if change % 10 == 9 {
            tokio::task::yield_now().await;
        }
    }
    let wrote = began.elapsed();
    let mut bytes = 0;
    for task in tasks {
        bytes += task.await.expect("no panic");
    }
    let took = began.elapsed();
    let events = (WATCHERS * CHANGES) as f64;
    println!(
        "{WATCHERS} watchers × {CHANGES} changes: {took:?} (writing alone {wrote:?}), \
         {:.0} events/s, {} MB shown",
        events / took.as_secs_f64(),
        bytes / 1_000_000
    );
}
