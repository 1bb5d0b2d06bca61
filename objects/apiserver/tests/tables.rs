//! Tables as kube-apiserver 1.37.0 showed them: `tables/observed.json` has, for every kind that it
//! lists, its columns, and rows of objects that were made for their cells, at a known time.

use engram_apiserver::tables::{Headers, IncludeObject, Printer, printer, table};
use jiff::Timestamp;
use serde_json::{Value, json};

const OBSERVED: &str = include_str!("tables/observed.json");
const HIDDEN_METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";

fn observed() -> Vec<Value> {
    serde_json::from_str(OBSERVED).expect("the golden file is JSON")
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn printer_of(kind: &Value) -> &'static Printer {
    printer(text(kind, "group"), text(kind, "kind"))
}

fn shown(kind: &Value) -> Value {
    let now: Timestamp = text(kind, "now").parse().expect("a time");
    let objects: Vec<_> = rows(kind).iter().map(|row| &row["object"]).collect();
    let list = json!({ "resourceVersion": "7", "continue": "c", "remainingItemCount": 3 });
    table(printer_of(kind), objects, &list, IncludeObject::None, Headers::Shown, now)
}

fn rows(kind: &Value) -> &[Value] {
    kind["rows"].as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn columns_of_every_kind_are_those_observed() {
    let kinds = observed();
    assert!(kinds.len() >= 60);
    for kind in &kinds {
        let table = shown(kind);
        let columns = table["columnDefinitions"].as_array().expect("columns are shown").iter();
        let columns: Vec<Value> = columns
            .map(|column| {
                json!([column["name"], column["type"], column["format"], column["priority"]])
            })
            .collect();
        assert_eq!(json!(columns), kind["columns"], "{} {}", kind["group"], kind["kind"]);
    }
}

#[test]
fn cells_of_every_row_are_those_observed() {
    let mut differences = Vec::new();
    let mut compared = 0;
    for kind in &observed() {
        let table = shown(kind);
        for (ours, theirs) in rows(&table).iter().zip(rows(kind)) {
            // `autoscaling/v1` hides most metrics in an annotation. Tables are made from the
            // stored form, which is v2.
            if !theirs["object"]["metadata"]["annotations"][HIDDEN_METRICS].is_null() {
                continue;
            }
            compared += 1;
            if ours["cells"] != theirs["cells"]
                || ours.get("conditions") != theirs.get("conditions")
            {
                let (ours, theirs) = (&ours["cells"], &theirs["cells"]);
                differences
                    .push(format!("{}\n  ours     {ours}\n  observed {theirs}", kind["kind"]));
            }
        }
    }
    assert!(compared >= 140, "{compared} rows");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn an_object_that_says_nothing_has_a_cell_in_every_column() {
    let now = Timestamp::UNIX_EPOCH;
    for kind in &observed() {
        let printer = printer_of(kind);
        for empty in [json!({}), json!(null), json!({ "spec": 1, "status": [] })] {
            let table =
                table(printer, [&empty], &json!({}), IncludeObject::None, Headers::Shown, now);
            let cells = table["rows"][0]["cells"].as_array().map_or(0, Vec::len);
            assert_eq!(cells, printer.columns.len() + printer.extra_cells.len());
        }
    }
}

#[test]
fn rows_carry_what_is_asked_for_of_their_objects() {
    let pod = json!({ "kind": "Pod", "metadata": { "name": "a" }, "spec": { "nodeName": "n" } });
    let row = |include| {
        let now = Timestamp::UNIX_EPOCH;
        let table =
            table(printer("", "Pod"), [&pod], &pod["metadata"], include, Headers::Hidden, now);
        assert_eq!(table["columnDefinitions"], Value::Null);
        table["rows"][0]["object"].clone()
    };
    assert_eq!(row(IncludeObject::None), Value::Null);
    assert_eq!(row(IncludeObject::Object), pod);
    let metadata = json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": { "name": "a" },
    });
    assert_eq!(row(IncludeObject::Metadata), metadata);
}

#[test]
fn a_table_keeps_of_the_metadata_what_pages_need() {
    let kind = &observed()[0];
    let metadata = &shown(kind)["metadata"];
    let expected = json!({ "resourceVersion": "7", "continue": "c", "remainingItemCount": 3 });
    assert_eq!(metadata, &expected);
    let single = json!({ "name": "a", "labels": {}, "resourceVersion": "9" });
    let now = Timestamp::UNIX_EPOCH;
    let table =
        table(printer("", "Pod"), [&json!({})], &single, IncludeObject::None, Headers::Shown, now);
    assert_eq!(table["metadata"], json!({ "resourceVersion": "9" }));
}

#[test]
fn only_a_list_marks_the_default_storage_class() {
    let class = json!({ "metadata": {
        "name": "a",
        "annotations": { "storageclass.kubernetes.io/is-default-class": "true" },
    }});
    let name = |metadata: &Value| {
        let printer = printer("storage.k8s.io", "StorageClass");
        let now = Timestamp::UNIX_EPOCH;
        let table = table(printer, [&class], metadata, IncludeObject::None, Headers::Shown, now);
        table["rows"][0]["cells"][0].clone()
    };
    assert_eq!(name(&json!({ "resourceVersion": "1" })), "a (default)");
    assert_eq!(name(&class["metadata"]), "a");
}

#[test]
fn a_scale_is_shown_by_what_is_wanted_and_what_there_is() {
    let scale = json!({
        "kind": "Scale",
        "metadata": { "name": "web" },
        "spec": { "replicas": 3 },
        "status": { "replicas": 2 },
    });
    let now = Timestamp::UNIX_EPOCH;
    let printer = printer("autoscaling", "Scale");
    let table =
        table(printer, [&scale], &scale["metadata"], IncludeObject::None, Headers::Shown, now);
    assert_eq!(table["rows"][0]["cells"], json!(["web", 3, 2, "<unknown>"]));
    assert_eq!(table["columnDefinitions"][0]["format"], "");
}
