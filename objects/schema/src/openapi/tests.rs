//! What clients look for in the documents.

use super::*;

fn parsed(path: &str) -> Value {
    serde_json::from_slice(&document(path).expect(path).bytes).expect("JSON")
}

#[test]
fn the_index_names_every_group_version_with_its_hash() {
    let index: Value = serde_json::from_slice(&index().bytes).expect("JSON");
    let index_paths = index["paths"].as_object().expect("paths");
    for row in Schema::builtin().resources() {
        let path = paths::root(row.group, row.version);
        assert!(index_paths.contains_key(path.trim_matches('/')), "{path}");
    }
    assert!(["api", "apis", "apis/apps"].iter().all(|path| index_paths.contains_key(*path)));
    let apps = document("apis/apps/v1").expect("a document");
    assert_eq!(index_paths["apis/apps/v1"]["serverRelativeURL"], apps.url.as_str());
    assert_eq!(apps.url, format!("/openapi/v3/apis/apps/v1?hash={}", apps.hash));
    assert!(document("apis/apps/v9").is_none() && document("").is_none());
}

#[test]
fn documents_are_built_once_and_shared() {
    let (once, twice) = (document("api/v1").expect("one"), document("api/v1").expect("one"));
    assert_eq!(once.bytes.as_ptr(), twice.bytes.as_ptr());
    assert_ne!(once.hash, document("apis/apps/v1").expect("another").hash);
}

#[test]
fn a_patch_of_every_kind_takes_what_kubectl_probes_for() {
    let mut patches = 0;
    for path in documents().keys() {
        for (name, item) in parsed(path)["paths"].as_object().expect("paths") {
            let Some(patch) = item.get("patch") else { continue };
            if patch["x-kubernetes-action"] == "connect" {
                continue;
            }
            let has = |wanted: &str| {
                let parameters = patch["parameters"].as_array().expect("parameters");
                parameters.iter().any(|parameter| parameter["name"] == wanted)
            };
            assert!(has("fieldValidation") && has("dryRun"), "{name}");
            assert!(patch["x-kubernetes-group-version-kind"]["kind"].is_string(), "{name}");
            patches += 1;
        }
    }
    assert!(patches > 90, "{patches}");
}

#[test]
fn every_reference_has_its_schema() {
    fn references<'value>(value: &'value Value, found: &mut Vec<&'value str>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str));
                map.values().for_each(|inner| references(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    for path in documents().keys() {
        let document = parsed(path);
        let mut found = Vec::new();
        references(&document, &mut found);
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{path}: {reference}");
        }
    }
}

#[test]
fn cron_jobs_are_explained_in_both_versions() {
    for version in ["v1", "v1beta1"] {
        let document = parsed(&format!("apis/batch/{version}"));
        let cron_job = &document["components"]["schemas"]["io.k8s.api.batch.v1.CronJob"];
        let kinds = &cron_job["x-kubernetes-group-version-kind"];
        let expected = json!({"group": "batch", "version": version, "kind": "CronJob"});
        assert!(kinds.as_array().expect("kinds").contains(&expected), "{version}");
    }
}
