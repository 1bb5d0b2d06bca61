//! What a cache promises, over a storage that can be broken on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::limits::{RECENT_MAX, STATES_MAX};
use super::testing::{Breakable, PATIENCE, shape, told, value};
use super::{Cache, CacheError, ListQuery, Listed, Match, Selection, WatchQuery};
use crate::storage::{Revision, Storage, Stored};

fn places(listed: &Listed) -> Vec<&str> {
    listed.items.iter().map(|item| item.place()).collect()
}

fn at(revision: impl ToString) -> Option<String> {
    Some(revision.to_string())
}

fn app(name: &'static str) -> Selection {
    Selection::by(move |object| object.labels().get("app").is_some_and(|app| app == name))
}

async fn list(cache: &Cache, query: ListQuery) -> Listed {
    cache.list(query).await.expect("listed")
}

// Lists and gets.

#[tokio::test]
async fn what_was_written_anywhere_is_listed_by_every_cache_at_once() {
    let storage = Breakable::new();
    let caches = [storage.cache().await, storage.cache().await, storage.cache().await];
    for round in 0..50 {
        let revision = storage.put(&format!("a/x{round}"), "web", "n").await;
        for cache in &caches {
            let listed = list(cache, ListQuery::default()).await;
            assert_eq!(listed.items.len(), round + 1);
            assert!(listed.revision >= revision);
        }
    }
}

#[tokio::test]
async fn a_consistent_list_waits_for_a_watch_that_lags() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    storage.hold(true);
    storage.put("a/x", "web", "n").await;
    let query = ListQuery { resource_version: at(0), ..ListQuery::default() };
    assert_eq!(list(&cache, query.clone()).await.items.len(), 0, "as old as it likes");
    let (listed, ()) = tokio::join!(list(&cache, ListQuery::default()), async {
        tokio::task::yield_now().await;
        storage.hold(false);
    });
    assert_eq!(places(&listed), ["a/x"]);
    assert_eq!(list(&cache, query).await.items.len(), 1);
}

#[tokio::test]
async fn a_consistent_list_reads_the_store_when_the_watch_does_not_catch_up() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    storage.hold(true);
    let revision = storage.put("a/x", "web", "n").await;
    let listed = list(&cache, ListQuery::default()).await;
    assert_eq!((places(&listed), listed.revision), (vec!["a/x"], revision));
}

#[tokio::test]
async fn an_idle_cache_learns_of_writes_elsewhere_by_progress() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    let other = storage.memory.create("/others/a", value("a", "b", "c"), None).await;
    assert!(other.is_ok());
    let newest = storage.memory.current_revision().await.expect("memory");
    cache.wait_passed(newest).await.expect("passed without an event");
    assert!(cache.passed() >= newest);
}

#[tokio::test]
async fn a_get_is_the_newest_unless_an_older_one_will_do() {
    let storage = Breakable::new();
    let first = storage.put("a/x", "web", "n").await;
    let cache = storage.cache().await;
    storage.hold(true);
    let second = storage.put("a/x", "web", "n2").await;
    let revision = async |version: Option<&str>| {
        let got = cache.get(Some("a"), "x", version).await.expect("read");
        got.expect("it is there").revision()
    };
    assert_eq!(revision(None).await, second);
    assert_eq!(revision(Some("")).await, second);
    assert_eq!(revision(Some("0")).await, first);
    assert_eq!(revision(Some(&first.to_string())).await, first);
    assert!(matches!(cache.get(Some("b"), "x", None).await, Ok(None)));
    let future = cache.get(Some("a"), "x", Some(&(second.0 + 9).to_string())).await;
    let Err(CacheError::TooLargeResourceVersion { asked, retry_after_seconds: 1, .. }) = future
    else {
        panic!("{future:?}")
    };
    assert_eq!(asked, Revision(second.0 + 9));
}

#[tokio::test]
async fn pages_under_writes_are_one_consistent_state_from_cache_and_from_store() {
    let storage = Breakable::new();
    for number in 0..60 {
        storage.put(&format!("a/x{number:02}"), "old", "n").await;
    }
    let cache = storage.cache().await;
    // Few writes between two pages are answered from the cache, many from the store.
    for writes in [3, STATES_MAX] {
        let whole = list(&cache, ListQuery::default()).await;
        let query = ListQuery { limit: 7, ..ListQuery::default() };
        let mut page = list(&cache, query.clone()).await;
        let (revision, mut seen) = (page.revision, page.items.clone());
        while let Some(token) = page.continue_token {
            assert_eq!(page.remaining, Some(whole.items.len() - seen.len()));
            for write in 0..writes {
                let number = (seen.len() + write * 7) % 60;
                storage.put(&format!("a/x{number:02}"), "new", "n").await;
                storage.put(&format!("a/y{}", seen.len() + write), "new", "n").await;
            }
            let newest = storage.memory.current_revision().await.expect("memory");
            cache.wait_passed(newest).await.expect("passed");
            let query = ListQuery { continue_token: Some(token), ..query.clone() };
            page = list(&cache, query).await;
            assert_eq!(page.revision, revision);
            seen.extend(page.items.clone());
        }
        let key = |list: &[Arc<super::Object>]| -> Vec<_> {
            list.iter().map(|o| (o.place().to_owned(), o.revision())).collect()
        };
        assert_eq!(key(&seen), key(&whole.items));
    }
}

#[tokio::test]
async fn exact_lists_show_the_past_and_only_that() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    let first = storage.put("a/x", "web", "n").await;
    let second = storage.put("a/y", "web", "n").await;
    let deleted = storage.delete("a/x").await;
    let exact = |revision: Revision| ListQuery {
        resource_version: at(revision),
        resource_version_match: Some(Match::Exact),
        ..ListQuery::default()
    };
    for (revision, wanted) in
        [(first, vec!["a/x"]), (second, vec!["a/x", "a/y"]), (deleted, vec!["a/y"])]
    {
        let listed = list(&cache, exact(revision)).await;
        assert_eq!((places(&listed), listed.revision), (wanted, revision));
    }
    let future = cache.list(exact(Revision(deleted.0 + 5))).await;
    assert!(matches!(future, Err(CacheError::TooLargeResourceVersion { .. })), "{future:?}");
    storage.memory.compact(second).await.expect("compacted");
    cache.compacted(second);
    let gone = cache.list(exact(first)).await.expect_err("it was compacted");
    assert_eq!(gone, CacheError::list_expired());
    assert_eq!(list(&cache, exact(second)).await.items.len(), 2);
}

#[tokio::test]
async fn a_walk_overtaken_by_compaction_gets_a_token_that_goes_on_at_the_newest() {
    let storage = Breakable::new();
    for number in 0..6 {
        storage.put(&format!("a/x{number}"), "web", "n").await;
    }
    let cache = storage.cache().await;
    let query = ListQuery { limit: 2, namespace: Some("a".into()), ..ListQuery::default() };
    let page = list(&cache, query.clone()).await;
    storage.put("a/x3", "new", "n").await;
    let newest = storage.put("a/x5", "new", "n").await;
    storage.memory.compact(newest).await.expect("compacted");
    cache.compacted(newest);
    let on = ListQuery { continue_token: page.continue_token, ..query.clone() };
    let Err(CacheError::Expired { message, continue_token: Some(token) }) = cache.list(on).await
    else {
        panic!("the old state is still served")
    };
    assert!(message.starts_with("The provided continue parameter is too old"), "{message}");
    let on = ListQuery { continue_token: Some(token), limit: 0, ..query };
    let rest = list(&cache, on).await;
    assert_eq!(places(&rest), ["a/x2", "a/x3", "a/x4", "a/x5"]);
    assert!(rest.revision >= newest);
}

#[tokio::test]
async fn limits_and_counts_follow_kubernetes_rules() {
    let storage = Breakable::new();
    for number in 0..10 {
        let app = if number % 2 == 0 { "even" } else { "odd" };
        storage.put(&format!("a/x{number}"), app, "n").await;
    }
    storage.put("b/z", "even", "n").await;
    let cache = storage.cache().await;
    let limit = ListQuery { limit: 4, ..ListQuery::default() };
    let query = ListQuery { resource_version: at(0), ..limit.clone() };
    assert_eq!(list(&cache, query).await.items.len(), 11, "with revision 0 there is no limit");
    let page = list(&cache, limit.clone()).await;
    assert_eq!((page.items.len(), page.remaining), (4, Some(7)));
    let even = ListQuery { selection: app("even"), ..limit.clone() };
    let page = list(&cache, even.clone()).await;
    assert_eq!(places(&page), ["a/x0", "a/x2", "a/x4", "a/x6"], "pages are filled");
    assert_eq!((page.remaining, page.continue_token.is_some()), (None, true));
    let rest = list(&cache, ListQuery { continue_token: page.continue_token, ..even }).await;
    assert_eq!((places(&rest), &rest.continue_token), (vec!["a/x8", "b/z"], &None));
    let inside = ListQuery { namespace: Some("b".into()), ..limit.clone() };
    assert_eq!(places(&list(&cache, inside).await), ["b/z"]);
    let named = ListQuery { name: Some("x3".into()), ..limit };
    assert_eq!(places(&list(&cache, named).await), ["a/x3"]);
}

#[tokio::test]
async fn queries_that_make_no_sense_are_refused_in_kubernetes_words() {
    let storage = Breakable::new();
    storage.put("a/x", "web", "n").await;
    storage.put("a/y", "web", "n").await;
    let cache = storage.cache().await;
    let bad = |text: &str| CacheError::BadRequest(text.to_owned());
    let number = ListQuery { resource_version: at("abc"), ..ListQuery::default() };
    let words = "invalid resource version: resourceVersion: Invalid value: \"abc\": \
                 strconv.ParseUint: parsing \"abc\": invalid syntax";
    assert_eq!(cache.list(number).await.expect_err("refused"), bad(words));
    let page = list(&cache, ListQuery { limit: 1, ..ListQuery::default() }).await;
    let both = ListQuery {
        continue_token: page.continue_token,
        resource_version: at(5),
        ..ListQuery::default()
    };
    let words = "specifying resource version is not allowed when using continue";
    assert_eq!(cache.list(both).await.expect_err("refused"), bad(words));
    let forged = ListQuery { continue_token: Some("*".to_owned()), ..ListQuery::default() };
    let words = "invalid continue token: continue key is not valid: illegal base64 data at input \
                 byte 0";
    assert_eq!(cache.list(forged).await.expect_err("refused"), bad(words));
}

#[tokio::test]
async fn a_list_is_json_in_which_items_carry_no_kind() {
    let storage = Breakable::new();
    let first = storage.put("a/x", "web", "n").await;
    storage.put("a/y", "web", "n").await;
    let cache = storage.cache().await;
    let listed = list(&cache, ListQuery { limit: 1, ..ListQuery::default() }).await;
    let json: serde_json::Value =
        serde_json::from_slice(&listed.json("ThingList", "v1")).expect("JSON");
    assert_eq!((&json["kind"], &json["apiVersion"]), (&"ThingList".into(), &"v1".into()));
    assert_eq!(json["metadata"]["resourceVersion"], listed.revision.to_string());
    assert_eq!(json["metadata"]["continue"].as_str(), listed.continue_token.as_deref());
    assert_eq!(json["metadata"]["remainingItemCount"], 1);
    let item = &json["items"][0];
    assert_eq!(item["metadata"]["resourceVersion"], first.to_string());
    assert_eq!((item.get("kind"), &item["metadata"]["name"]), (None, &"x".into()));
    let none = Listed { items: Vec::new(), ..listed };
    let json: serde_json::Value = serde_json::from_slice(&none.json("L", "v1")).expect("JSON");
    assert_eq!(json["items"], serde_json::json!([]));
}

// Objects.

#[test]
fn an_object_has_its_revision_and_loses_nothing() {
    let json = r#" {"data":{"a\"}":"{"},"apiVersion":"v1", "metadata":{"name":"x",
        "resourceVersion":"99","labels":null,"uid":"u"},"kind":"Thing","spec":{"node":"n7"}} "#;
    let stored = |value: &str| Stored {
        key: "/things/a/x".to_owned(),
        value: value.to_owned().into_bytes().into(),
        revision: Revision(7),
        create_revision: Revision(3),
    };
    let object = super::Object::read(&shape(), &stored(json)).expect("read");
    assert_eq!((object.namespace(), object.name(), object.uid()), (Some("a"), "x", "u"));
    assert_eq!(object.field("spec.node"), Some("n7"));
    assert_eq!(object.field("metadata.namespace"), Some("a"));
    assert_eq!(object.field("spec.other"), None);
    let mut wanted: serde_json::Value = serde_json::from_str(json).expect("JSON");
    wanted["metadata"]["resourceVersion"] = "7".into();
    let read = |bytes: &[u8]| -> serde_json::Value { serde_json::from_slice(bytes).expect("JSON") };
    assert_eq!(read(&object.json()), wanted);
    assert!(object.json().starts_with(br#"{"kind":"Thing","apiVersion":"v1","metadata":{"#));
    wanted["apiVersion"] = "v2".into();
    assert_eq!(read(&object.json_as("Thing", "v2")), wanted);
    for bad in ["", "[]", "{\"metadata\":{}", "{}", "k8s\0abc", "{\"metadata\":{\"labels\":5}}"] {
        assert!(super::Object::read(&shape(), &stored(bad)).is_err(), "{bad}");
    }
    let mut shape = shape();
    shape.decode = Some(|bytes| match bytes {
        b"k8s\0abc" => Ok(r#"{"metadata":{"uid":"p"}}"#.into()),
        _ => Err("not that".to_owned()),
    });
    let object = super::Object::read(&shape, &stored("k8s\0abc")).expect("decoded");
    assert_eq!(object.uid(), "p");
}

// Watches.

#[tokio::test]
async fn a_watch_begins_where_it_was_told_to() {
    let storage = Breakable::new();
    let first = storage.put("a/x", "web", "n").await;
    let cache = storage.cache().await;
    let second = storage.put("a/y", "web", "n").await;
    cache.wait_passed(second).await.expect("passed");
    let open = async |query: WatchQuery| cache.watch(query).await.expect("opened");
    let base = WatchQuery::default;
    let mut state =
        [open(base()).await, open(WatchQuery { resource_version: at(0), ..base() }).await];
    let mut behind = open(WatchQuery { resource_version: at(first), ..base() }).await;
    let only_new = WatchQuery { send_initial_events: Some(false), ..base() };
    let mut now = open(only_new).await;
    let future = WatchQuery { resource_version: at(second.0 + 1), ..base() };
    let mut future = open(future).await;
    let third = storage.put("a/z", "web", "n").await;
    let fourth = storage.delete("a/x").await;
    let live = [format!("ADDED a/z at {third}"), format!("DELETED a/x at {fourth}")];
    for watcher in &mut state {
        assert_eq!(told(watcher).await, format!("ADDED a/x at {first}"));
        assert_eq!(told(watcher).await, format!("ADDED a/y at {second}"));
        assert_eq!([told(watcher).await, told(watcher).await], live);
    }
    assert_eq!(told(&mut behind).await, format!("ADDED a/y at {second}"));
    assert_eq!([told(&mut behind).await, told(&mut behind).await], live);
    assert_eq!([told(&mut now).await, told(&mut now).await], live);
    assert_eq!(told(&mut future).await, live[1], "{third} was to be left out");
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark_that_is_not_older_than_the_request() {
    let storage = Breakable::new();
    let first = storage.put("a/x", "web", "n").await;
    let cache = storage.cache().await;
    storage.put("b/y", "web", "n").await;
    let other = storage.memory.create("/others/a", value("a", "b", "c"), None).await;
    assert!(other.is_ok());
    let newest = storage.memory.current_revision().await.expect("memory");
    let query = WatchQuery {
        send_initial_events: Some(true),
        bookmarks: true,
        namespace: Some("a".into()),
        ..WatchQuery::default()
    };
    let mut watcher = cache.watch(query.clone()).await.expect("opened");
    assert_eq!(told(&mut watcher).await, format!("ADDED a/x at {first}"));
    assert_eq!(told(&mut watcher).await, format!("BOOKMARK at {newest} end=true"));
    let next = storage.put("a/x", "web", "m").await;
    assert_eq!(told(&mut watcher).await, format!("MODIFIED a/x at {next}"));
    let query = WatchQuery { resource_version: at(next.0 + 100), ..query };
    let mut future = cache.watch(query).await.expect("opened");
    assert!(told(&mut future).await.starts_with("ERROR Too large resource version"));
    assert_eq!(told(&mut future).await, "END");
}

#[tokio::test]
async fn selections_are_entered_and_left() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    let selection = Selection::by(|object| object.field("spec.node") == Some("n1"));
    let query = WatchQuery { selection, resource_version: at(1), ..WatchQuery::default() };
    let mut watcher = cache.watch(query).await.expect("opened");
    let open = WatchQuery { resource_version: at(1), ..WatchQuery::default() };
    let mut all = cache.watch(open).await.expect("opened");
    storage.put("a/x", "web", "n0").await;
    let entered = storage.put("a/x", "web", "n1").await;
    let changed = storage.put("a/x", "db", "n1").await;
    let left = storage.put("a/x", "db", "n2").await;
    storage.delete("a/x").await;
    let born = storage.put("a/y", "db", "n1").await;
    let gone = storage.delete("a/y").await;
    for wanted in [
        format!("ADDED a/x at {entered}"),
        format!("MODIFIED a/x at {changed}"),
        format!("DELETED a/x at {left}"),
        format!("ADDED a/y at {born}"),
        format!("DELETED a/y at {gone}"),
    ] {
        assert_eq!(told(&mut watcher).await, wanted);
    }
    let mut kinds = Vec::new();
    for _ in 0..7 {
        kinds.push(told(&mut all).await.split(' ').next().map(str::to_owned).expect("a word"));
    }
    let wanted = ["ADDED", "MODIFIED", "MODIFIED", "MODIFIED", "DELETED", "ADDED", "DELETED"];
    assert_eq!(kinds, wanted);
}

#[tokio::test]
async fn who_leaves_a_selection_is_told_as_it_was_last_selected() {
    let storage = Breakable::new();
    storage.put("a/x", "web", "n").await;
    let cache = storage.cache().await;
    let query = WatchQuery { selection: app("web"), ..WatchQuery::default() };
    let mut watcher = cache.watch(query).await.expect("opened");
    assert!(told(&mut watcher).await.starts_with("ADDED"));
    storage.put("a/x", "db", "n").await;
    match watcher.next().await {
        Some(super::WatchEvent::Deleted(told)) => {
            assert_eq!(told.object().labels().get("app").map(String::as_str), Some("web"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_that_is_lost_and_opened_again_misses_and_repeats_nothing() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    let query = WatchQuery { resource_version: at(1), ..WatchQuery::default() };
    let mut watcher = cache.watch(query).await.expect("opened");
    let mut wanted = Vec::new();
    for round in 0..40 {
        let place = format!("a/x{}", round % 7);
        let kind = if round < 7 { "ADDED" } else { "MODIFIED" };
        let revision = storage.put(&place, "web", "n").await;
        wanted.push(format!("{kind} {place} at {revision}"));
        if round % 5 == 0 {
            storage.cut();
        }
    }
    for wanted in wanted {
        assert_eq!(told(&mut watcher).await, wanted);
    }
    assert_eq!(list(&cache, ListQuery::default()).await.items.len(), 7);
}

#[tokio::test]
async fn compaction_behind_a_lost_watch_ends_watchers_and_the_cache_goes_on() {
    let storage = Breakable::new();
    let first = storage.put("a/x", "web", "n").await;
    let cache = storage.cache().await;
    let query = WatchQuery { resource_version: at(first), ..WatchQuery::default() };
    let mut watcher = cache.watch(query.clone()).await.expect("opened");
    storage.refuse(true);
    storage.cut();
    storage.put("a/y", "web", "n").await;
    storage.delete("a/x").await;
    let newest = storage.put("a/z", "web", "n").await;
    storage.memory.compact(newest).await.expect("compacted");
    storage.refuse(false);
    let expired = format!("ERROR too old resource version: {first} ({newest})");
    assert_eq!(told(&mut watcher).await, expired);
    assert_eq!(told(&mut watcher).await, "END");
    assert_eq!(places(&list(&cache, ListQuery::default()).await), ["a/y", "a/z"]);
    let mut again = cache.watch(query).await.expect("opened");
    assert_eq!(told(&mut again).await, expired);
    let query = WatchQuery { resource_version: at(newest), ..WatchQuery::default() };
    let mut again = cache.watch(query).await.expect("opened");
    let next = storage.put("a/z", "web", "m").await;
    assert_eq!(told(&mut again).await, format!("MODIFIED a/z at {next}"));
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_ended_and_holds_nobody_up() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    let query = WatchQuery { resource_version: at(1), ..WatchQuery::default() };
    let mut slow = cache.watch(query.clone()).await.expect("opened");
    let mut quick = cache.watch(query).await.expect("opened");
    let count = RECENT_MAX + 10;
    let mut seen = 0;
    for number in 0..count {
        storage.put(&format!("a/x{}", number % 3), "web", "n").await;
        if number % 500 == 0 {
            // The quick one keeps up with the cache, however far that has come.
            while seen < number {
                assert!(told(&mut quick).await.contains(" a/x"));
                seen += 1;
            }
        }
    }
    while seen < count {
        assert!(told(&mut quick).await.contains(" a/x"));
        seen += 1;
    }
    let mut behind = 0;
    while told(&mut slow).await != "END" {
        behind += 1;
    }
    assert!(behind < 100, "it was told {behind} changes");
}

#[tokio::test]
async fn a_watch_ends_in_time_with_a_bookmark_before_that() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    let revision = storage.put("a/x", "web", "n").await;
    cache.wait_passed(revision).await.expect("passed");
    let query = WatchQuery {
        resource_version: at(revision),
        bookmarks: true,
        timeout: Some(super::limits::BOOKMARK_BEFORE_END + Duration::from_millis(50)),
        ..WatchQuery::default()
    };
    let mut watcher = cache.watch(query).await.expect("opened");
    assert_eq!(told(&mut watcher).await, format!("BOOKMARK at {revision} end=false"));
    assert_eq!(told(&mut watcher).await, "END");
    let query = WatchQuery { timeout: Some(Duration::ZERO), ..WatchQuery::default() };
    let mut short = cache.watch(query).await.expect("opened");
    let mut told_before = BTreeMap::new();
    while let Some(event) = short.next().await {
        told_before.insert(format!("{event:?}"), ());
    }
    assert_eq!(told_before.len(), 1, "the state is told even so");
}

#[tokio::test]
async fn watchers_end_with_their_cache() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    let mut watcher = cache.watch(WatchQuery::default()).await.expect("opened");
    let waiting = tokio::spawn(async move { told(&mut watcher).await });
    drop(cache);
    let told = tokio::time::timeout(PATIENCE, waiting).await.expect("in time");
    assert_eq!(told.expect("no panic"), "END");
}

#[tokio::test]
async fn a_watch_whose_time_is_up_before_it_could_begin_ends_with_an_error() {
    let storage = Breakable::new();
    let cache = storage.cache().await;
    storage.hold(true);
    storage.put("a/x", "web", "n").await;
    for timeout in [Duration::ZERO, Duration::from_millis(20)] {
        let query = WatchQuery {
            send_initial_events: Some(true),
            timeout: Some(timeout),
            ..WatchQuery::default()
        };
        let mut watcher = cache.watch(query).await.expect("opened");
        assert_eq!(told(&mut watcher).await, "ERROR context deadline exceeded");
        assert_eq!(told(&mut watcher).await, "END");
    }
}
