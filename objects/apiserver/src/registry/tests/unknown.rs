//! Writes whose outcome the storage does not know: told as done when they were, never made twice.

use super::*;
use crate::storage::testing::{Breakable, Lost};

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_told_as_what_it_was() {
    let storage = Breakable::new();
    let api = Api::on(storage.clone(), 1);
    api.create("namespaces", named("default")).await.expect("it is created");
    let next = |lost| storage.lose_next_answer(lost);

    next(Lost::Done);
    let made = api.create("configmaps", named("a")).await.expect("it was created");
    assert_eq!(api.get("configmaps a").await.expect("it is there"), made);
    next(Lost::NotDone);
    assert_eq!(message(api.create("configmaps", named("b")).await).0, 504);

    let list = json!([{"op": "add", "path": "/metadata/finalizers", "value": ["a.b/c"]}]);
    next(Lost::Done);
    let patched = api.patch("configmaps a", PatchKind::Json, list).await.expect("it was patched");
    assert_eq!(revision(&patched), revision(&made) + 1);
    let more = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "d.e/f"}]);
    next(Lost::NotDone);
    assert_eq!(message(api.patch("configmaps a", PatchKind::Json, more).await).0, 504);
    let there = api.get("configmaps a").await.expect("it is there");
    assert_eq!(there["metadata"]["finalizers"], json!(["a.b/c"]));

    let freed = json!({"metadata": {"finalizers": null}});
    api.merge("configmaps a", freed).await.expect("it is patched");
    next(Lost::NotDone);
    assert_eq!(message(api.delete("configmaps a", DeleteOptions::default()).await).0, 504);
    next(Lost::Done);
    let gone = api.delete("configmaps a", DeleteOptions::default()).await.expect("it went");
    assert_eq!(gone["details"]["uid"], made["metadata"]["uid"]);
}
