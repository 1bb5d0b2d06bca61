//! The published test data of `k8s.io/api`: one object of every kind as JSON, YAML and protobuf,
//! with every field set, must come through the schema unchanged.
//!
//! The data is not checked in: `go` fetches the module that the generator pins. Without Go the test
//! says so and fails where `CI` is set.

use std::path::PathBuf;
use std::process::Command;

use engram_schema::types::{Schema, TypeId};
use engram_schema::{Value, protobuf, typed};

struct Published {
    name: String,
    kind: TypeId,
    json: Value,
    yaml: String,
    protobuf: Vec<u8>,
}

/// The folder of the data, or none when Go is not on the machine.
fn folder() -> Option<PathBuf> {
    let generator = concat!(env!("CARGO_MANIFEST_DIR"), "/generator");
    let go =
        |arguments: &[&str]| Command::new("go").args(arguments).current_dir(generator).output();
    let fetched = match go(&["mod", "download", "k8s.io/api"]) {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "go: {error}");
            eprintln!("did not run: Go is not on this machine ({error})");
            return None;
        }
    };
    assert!(fetched.status.success(), "{}", String::from_utf8_lossy(&fetched.stderr));
    let listed = go(&["list", "-m", "-f", "{{.Dir}}", "k8s.io/api"]).expect("go runs");
    let text = String::from_utf8(listed.stdout).expect("a path");
    Some(PathBuf::from(text.trim()).join("testdata/HEAD"))
}

/// `apps.v1.Deployment`, `admission.k8s.io.v1.AdmissionReview`, `core.v1.Pod`.
fn kind(name: &str) -> TypeId {
    let mut parts = name.rsplitn(3, '.');
    let (kind, version, group) = (parts.next(), parts.next(), parts.next());
    let (kind, version) = kind.zip(version).expect("a file's name has three parts");
    let group = group.filter(|group| *group != "core").unwrap_or("");
    Schema::builtin().kind(group, version, kind).unwrap_or_else(|| panic!("{name} is not known"))
}

fn published() -> Vec<Published> {
    let Some(folder) = folder() else { return Vec::new() };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("an entry").path();
        let Some(name) = path.to_str().and_then(|path| path.strip_suffix(".json")) else {
            continue;
        };
        let name = name.rsplit('/').next().expect("a path has a last part").to_owned();
        let text = |ending: &str| std::fs::read(path.with_extension(ending)).expect("a file");
        found.push(Published {
            kind: kind(&name),
            json: serde_json::from_slice(&text("json")).expect("JSON"),
            yaml: String::from_utf8(text("yaml")).expect("text"),
            protobuf: text("pb"),
            name,
        });
    }
    assert!(found.len() > 180, "{} kinds are too few", found.len());
    found
}

#[test]
fn protobuf_of_every_kind_is_its_json_and_is_written_again_byte_for_byte() {
    let schema = Schema::builtin();
    for Published { name, kind, json, protobuf, .. } in published() {
        let value = protobuf::decode_as(schema, kind, &protobuf)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(value, json, "{name}");
        let written = protobuf::encode(schema, kind, &value)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(written == protobuf, "{name} is written differently");
    }
}

#[test]
fn json_and_yaml_of_every_kind_are_left_as_they_are() {
    let schema = Schema::builtin();
    for Published { name, kind, json, yaml, .. } in published() {
        assert_eq!(typed::unknown_fields(schema, kind, &json), [""; 0], "{name}");
        assert_eq!(typed::normalize(schema, kind, json.clone()), Ok(json.clone()), "{name}");
        let read: Value = serde_saphyr::from_str(&yaml).expect("YAML");
        assert_eq!(read, json, "{name}");
    }
}
