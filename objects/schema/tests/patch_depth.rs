//! A patch cannot make a document so deep that the program dies of it.

use engram_schema::patch::json_patch;
use serde_json::json;

#[test]
fn copies_of_a_value_into_itself_end_at_the_depth_that_is_read() {
    let deep = (0..80).fold(json!({}), |inner, _| json!({ "a": inner }));
    let mut operations = vec![json!({"op": "add", "path": "/m", "value": deep})];
    let mut depth = 80;
    while depth < 400_000 {
        let into = format!("/m{}", "/a".repeat(depth + 1));
        operations.push(json!({"op": "copy", "from": "/m", "path": into}));
        depth = 2 * depth + 1;
    }
    let patch = serde_json::to_vec(&operations).expect("JSON");
    assert!(patch.len() < 3 << 20, "the patch fits a body");
    let error = json_patch(&json!({}), &patch).expect_err("too deep");
    assert!(error.cause.contains("exceeded max depth"), "{error:?}");
}
