//! Bad input: each case is one scenario, asked of both sides, and followed by a read of the object
//! that it was aimed at.
//!
//! Invariant: the object is the same afterwards: its resourceVersion has the label of its creation.
//!
//! Must not know: how the cases are held.

use serde_json::{Value, json};

use super::lifecycle::create_namespace;
use super::steps::{JSON, JSON_PATCH, MERGE, STRATEGIC, Scenario, version_of};

const NAMESPACE: &str = "bad-input";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// What is there before the cases: a namespace, a ConfigMap, a Deployment.
#[must_use]
pub fn preparation() -> Scenario {
    let mut to = Scenario::new("preparation");
    create_namespace(&mut to, NAMESPACE);
    to.post(maps(), &map("a"));
    let labels = json!({"app": "a"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "d"}]}});
    let spec = json!({"replicas": 1, "selector": {"matchLabels": labels}, "template": template});
    let metadata = json!({"name": "a"});
    let body =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec});
    to.post(deployments(), &body);
    to
}

fn maps() -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/configmaps")
}

fn deployments() -> String {
    format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments")
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

/// Every case.
#[must_use]
pub fn cases() -> Vec<Scenario> {
    let mut cases = Cases(Vec::new());
    cases.bodies();
    cases.bombs();
    cases.fields();
    cases.identity();
    cases.read_only();
    cases.versions();
    cases.patches();
    cases.graphs();
    cases.watches();
    cases.paths();
    cases.0
}

struct Cases(Vec<Scenario>);

impl Cases {
    fn case(&mut self, name: &str, act: impl FnOnce(&mut Scenario)) {
        let mut scenario = Scenario::new(name);
        act(&mut scenario);
        scenario.get(format!("{}/a", maps()));
        scenario.get(format!("{}/a", deployments()));
        scenario.get(format!("{}?limit=50", maps()));
        self.0.push(scenario);
    }

    /// The same body given as a POST and as a PUT.
    fn body(&mut self, name: &str, content_type: &'static str, body: impl Into<bytes::Bytes>) {
        let body = body.into();
        self.case(name, |to| {
            to.raw("POST", maps(), JSON, content_type, body.clone());
            to.raw("PUT", format!("{}/a", maps()), JSON, content_type, body);
        });
    }

    fn bodies(&mut self) {
        for (name, text) in [
            ("no body", ""),
            ("JSON cut short", "{\"apiVersion\": \"v1\", \"kind\": \"Conf"),
            ("JSON with a trailing comma", "{\"apiVersion\": \"v1\",}"),
            (
                "JSON with more after it",
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"z\"}} {\"a\":1}",
            ),
            ("an array", "[]"),
            ("a string", "\"x\""),
            ("a number", "5"),
            ("null", "null"),
            ("an empty object", "{}"),
            ("no kind", "{\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"z\"}}"),
            ("no version", "{\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"z\"}}"),
            ("kind of another type", "{\"apiVersion\":\"v1\",\"kind\":5}"),
            (
                "metadata of another type",
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":[]}",
            ),
            (
                "data of another type",
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"z\"},\"data\":[1]}",
            ),
            (
                "a value of another type",
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"z\"},\"data\":{\"a\":5}}",
            ),
            (
                "base64 that is none",
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"z\"},\"binaryData\":{\"a\":\"%%\"}}",
            ),
            (
                "a control character",
                "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"z\"},\"data\":{\"a\":\"\u{1}\"}}",
            ),
            ("YAML sent as JSON", "apiVersion: v1\nkind: ConfigMap\n"),
        ] {
            self.body(name, JSON, text.to_owned());
        }
        self.body("bytes that are no UTF-8", JSON, vec![b'{', 0xff, 0xfe, b'}']);
        for (name, text) in [
            ("YAML with a tab", "apiVersion: v1\n\tkind: ConfigMap\n"),
            (
                "YAML of two documents",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z}\n---\nkind: x\n",
            ),
            ("YAML with a tag", "!!python/object:os.system {a: b}"),
            ("YAML that is a scalar", "just words"),
            ("YAML cut short", "metadata: {name: [z"),
            (
                "YAML with a number as key",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z}\ndata: {1: x, true: y}\n",
            ),
        ] {
            self.body(name, YAML, text.to_owned());
        }
        self.body("protobuf without its magic", PROTOBUF, vec![10, 4, 10, 2, 118, 49]);
        self.body("protobuf of nothing", PROTOBUF, b"k8s\0".to_vec());
        self.body(
            "protobuf cut short",
            PROTOBUF,
            [b"k8s\0".to_vec(), vec![10, 200, 1, 10]].concat(),
        );
        self.body("protobuf of an unknown kind", PROTOBUF, envelope("v1", "Nonsense", &[]));
        self.body(
            "protobuf of broken fields",
            PROTOBUF,
            envelope("v1", "ConfigMap", &[10, 255, 1, 1]),
        );
        self.body("protobuf of another kind", PROTOBUF, envelope("v1", "Secret", &[]));
        self.body("a type of no one", "application/nonsense", "{}".to_owned());
        self.body("CBOR", "application/cbor", vec![0xd9, 0xd9, 0xf7, 0xa0]);
    }

    fn bombs(&mut self) {
        let deep = |open: &str, close: &str, depth: usize| {
            let inner = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            format!(
                "{{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{{\"name\":\"z\"}},\"x\":{inner}}}"
            )
        };
        self.body("arrays 20,000 deep", JSON, deep("[", "]", 20_000));
        self.body("objects 20,000 deep", JSON, deep("{\"a\":", "}", 20_000));
        let mut aliases = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..10 {
            let before = format!("*a{},", level - 1).repeat(9);
            aliases += &format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(','));
        }
        let bomb = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: z}}\n{aliases}");
        self.body("aliases that double", YAML, bomb);
        let big = |bytes: usize| {
            let mut object = map("z");
            object["data"]["k"] = "x".repeat(bytes).into();
            object.to_string()
        };
        self.body("a body over 3 MiB", JSON, big(3 * 1024 * 1024 + 100));
        self.body("data over 1 MiB", JSON, big(1024 * 1024 + 100));
        self.body("annotations over 256 KiB", JSON, {
            let mut object = map("z");
            object["metadata"]["annotations"] = json!({"a": "x".repeat(262_144)});
            object.to_string()
        });
    }

    fn fields(&mut self) {
        let unknown = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"nope\":1},\"nope\":{\"a\":1}}";
        let twice = "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"name\":\"a\"},\"data\":{\"k\":\"v\"},\"data\":{\"k\":\"v\"}}";
        let yaml =
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v, k: w}\nnope: 1\n";
        for mode in ["Strict", "Warn", "Ignore", "strict", ""] {
            let post = format!("{}?dryRun=All&fieldValidation={mode}", maps());
            let put = format!("{}/a?dryRun=All&fieldValidation={mode}", maps());
            for (name, content_type, body) in
                [("unknown", JSON, unknown), ("twice", JSON, twice), ("yaml", YAML, yaml)]
            {
                self.case(&format!("fields {name}, validated {mode:?}"), |to| {
                    to.raw("POST", &post, JSON, content_type, body);
                    to.raw("PUT", &put, JSON, content_type, body);
                    let patch = "{\"data\": {\"k\": \"v\"}, \"nope\": 1, \"nope\": 2}";
                    to.raw("PATCH", &put, JSON, MERGE, patch);
                    to.raw("PATCH", &put, JSON, STRATEGIC, patch);
                });
            }
        }
    }

    fn identity(&mut self) {
        let changes = [
            ("another group", json!({"apiVersion": "apps/v1"})),
            ("another version", json!({"apiVersion": "v2"})),
            ("a version that is none", json!({"apiVersion": "a/b/c"})),
            ("another kind", json!({"kind": "Secret"})),
            ("an unknown kind", json!({"kind": "Nope"})),
            ("another namespace", json!({"metadata": {"namespace": "default"}})),
            ("an empty name", json!({"metadata": {"name": ""}})),
            ("a name with a slash", json!({"metadata": {"name": "a/b"}})),
            ("a name of dots", json!({"metadata": {"name": ".."}})),
            ("a name with a percent sign", json!({"metadata": {"name": "a%2fb"}})),
            ("a name that is too long", json!({"metadata": {"name": "n".repeat(254)}})),
            (
                "a label that is none",
                json!({"metadata": {"labels": {"a b": "c d", "x/y/z": "", "k": "v".repeat(64)}}}),
            ),
            ("an annotation that is none", json!({"metadata": {"annotations": {"a b": "c"}}})),
            ("a key that is none", json!({"data": {"../x": "y", "": "z"}})),
            ("a key given in both", json!({"binaryData": {"k": "AA=="}})),
        ];
        for (name, change) in changes {
            let mut object = map("a");
            super::lifecycle::merge(&mut object, &change);
            self.case(name, |to| {
                to.post(maps(), &object);
                to.put(format!("{}/a", maps()), &object);
                to.patch(format!("{}/a", maps()), MERGE, &change);
            });
        }
    }

    fn read_only(&mut self) {
        let changes = [
            (
                "the selector",
                json!({"spec": {"selector": {"matchLabels": {"app": "b"}}, "template": {"metadata": {"labels": {"app": "b"}}}}}),
            ),
            ("the uid", json!({"metadata": {"uid": "01234567-89ab-cdef-0123-456789abcdef"}})),
            ("the name", json!({"metadata": {"name": "b"}})),
            ("the namespace", json!({"metadata": {"namespace": "default"}})),
            (
                "the time of creation",
                json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}),
            ),
            ("the generation", json!({"metadata": {"generation": 77}})),
            (
                "the time of deletion",
                json!({"metadata": {"deletionTimestamp": "2001-01-01T00:00:00Z"}}),
            ),
            ("the status", json!({"status": {"replicas": 5}})),
            ("a type of a field", json!({"spec": {"replicas": "three"}})),
            ("a fraction", json!({"spec": {"replicas": 1.5}})),
            ("too large a number", json!({"spec": {"replicas": 99_999_999_999_i64}})),
            ("a negative number", json!({"spec": {"replicas": -1}})),
        ];
        for (name, change) in changes {
            self.case(&format!("changing {name}"), |to| {
                let one = format!("{}/a", deployments());
                to.patch(format!("{one}?dryRun=All"), MERGE, &change);
                to.patch(format!("{one}?dryRun=All"), STRATEGIC, &change);
                to.patch(format!("{one}/status?dryRun=All"), MERGE, &change);
                to.patch(format!("{one}/scale?dryRun=All"), MERGE, &change);
            });
        }
    }

    fn versions(&mut self) {
        for version in ["1", "99999999999", "-1", "x", "0", "1.5", " ", "18446744073709551616"] {
            self.case(&format!("a resourceVersion of {version:?}"), |to| {
                let mut object = map("a");
                object["data"]["k"] = "changed".into();
                object["metadata"]["resourceVersion"] = version.into();
                // A version of zero stands for none: that write is allowed, so it is only tried.
                to.put(format!("{}/a?dryRun=All", maps()), &object);
                to.patch(
                    format!("{}/a?dryRun=All", maps()),
                    MERGE,
                    &json!({"metadata": {"resourceVersion": version}}),
                );
                to.delete_with(
                    format!("{}/a?dryRun=All", maps()),
                    &json!({"preconditions": {"resourceVersion": version}}),
                );
                to.get(
                    format!("{}/a?resourceVersion={}", maps(), version.replace(' ', "%20"))
                        .replace("99999999999", "x1"),
                );
            });
        }
        for (name, options) in [
            ("an unknown policy", json!({"propagationPolicy": "Nope"})),
            (
                "a policy and its old form",
                json!({"propagationPolicy": "Orphan", "orphanDependents": true}),
            ),
            ("an unknown dry run", json!({"dryRun": ["Some"]})),
            ("another kind", json!({"kind": "Pod", "apiVersion": "v1"})),
            ("another type", json!({"gracePeriodSeconds": "x"})),
            ("no object", json!([])),
            ("an empty precondition", json!({"preconditions": {"uid": ""}})),
        ] {
            self.case(&format!("delete options of {name}"), |to| {
                let mut options = options;
                if options.is_object() && options.get("dryRun").is_none() {
                    options["dryRun"] = json!(["All"]);
                }
                to.delete_with(format!("{}/a", maps()), &options);
            });
        }
        for query in [
            "dryRun=Some",
            "gracePeriodSeconds=x&dryRun=All",
            "propagationPolicy=Nope&dryRun=All",
            "orphanDependents=perhaps&dryRun=All",
        ] {
            self.case(&format!("delete with {query}"), |to| {
                to.delete(format!("{}/a?{query}", maps()))
            });
        }
    }

    fn patches(&mut self) {
        let one = format!("{}/a", maps());
        let many: Value = (0..10_001)
            .map(|n| json!({"op": "add", "path": format!("/data/n{n}"), "value": "x"}))
            .collect();
        let growing: Value = (0..40)
            .map(|n| match n {
                0 => json!({"op": "add", "path": "/data/c0", "value": "x".repeat(200_000)}),
                n => json!({"op": "copy", "from": "/data/c0", "path": format!("/data/c{n}")}),
            })
            .collect();
        let cases = [
            ("a JSON patch of 10,001 operations", JSON_PATCH, many.to_string()),
            ("a JSON patch that copies too much", JSON_PATCH, growing.to_string()),
            ("a JSON patch that is an object", JSON_PATCH, "{}".to_owned()),
            (
                "a JSON patch with a bad pointer",
                JSON_PATCH,
                "[{\"op\":\"add\",\"path\":\"data\",\"value\":1}]".to_owned(),
            ),
            ("a merge patch that is a list", MERGE, "[]".to_owned()),
            ("a merge patch that is no JSON", MERGE, "{".to_owned()),
            ("a merge patch to another type", MERGE, "{\"data\": 5}".to_owned()),
            ("a strategic patch to another type", STRATEGIC, "{\"data\": [1]}".to_owned()),
            (
                "a strategic patch with a wrong directive",
                STRATEGIC,
                "{\"data\": {\"$patch\": \"nope\"}}".to_owned(),
            ),
            ("a patch of an unknown type", "application/nonsense", "{}".to_owned()),
            ("a patch without a type", "", "{}".to_owned()),
            ("an empty patch", MERGE, String::new()),
        ];
        for (name, content_type, body) in cases {
            self.case(name, |to| to.raw("PATCH", &one, JSON, content_type, body));
        }
    }

    /// Finalizers and owners that no one can serve; an owner cycle is allowed, and harms no one.
    fn graphs(&mut self) {
        let one = format!("{}/a?dryRun=All", maps());
        let owner = |change: Value| {
            let mut owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "01234567-89ab-cdef-0123-456789abcdef"});
            super::lifecycle::merge(&mut owner, &change);
            json!({"metadata": {"ownerReferences": [owner]}})
        };
        for (name, patch) in [
            ("a finalizer without a domain", json!({"metadata": {"finalizers": ["nope"]}})),
            ("a finalizer that is none", json!({"metadata": {"finalizers": ["a b/c"]}})),
            ("an empty finalizer", json!({"metadata": {"finalizers": [""]}})),
            (
                "orphan and foreground at once",
                json!({"metadata": {"finalizers": ["orphan", "foregroundDeletion"]}}),
            ),
            ("an owner without a uid", owner(json!({"uid": null}))),
            ("an owner without a name", owner(json!({"name": ""}))),
            ("an owner that is an event", owner(json!({"kind": "Event"}))),
            ("an owner of a bad version", owner(json!({"apiVersion": "a/b/c"}))),
            ("itself as owner", owner(json!({}))),
        ] {
            self.case(name, |to| to.patch(&one, MERGE, &patch));
        }
    }

    fn watches(&mut self) {
        for query in [
            "timeoutSeconds=-1",
            "timeoutSeconds=x",
            "resourceVersion=x",
            "resourceVersion=-1",
            "labelSelector=a%3D%3D%3Db",
            "fieldSelector=x",
            "fieldSelector=spec.x%3D1",
            "sendInitialEvents=true",
            "sendInitialEvents=perhaps",
            "resourceVersionMatch=Nope",
            "allowWatchBookmarks=perhaps",
            "continue=forged&limit=-1",
        ] {
            self.case(&format!("a watch with {query}"), |to| {
                to.open("bad", format!("{}?watch=true&timeoutSeconds=1&{query}", maps()), JSON);
                to.close();
                to.get(format!("{}?{query}", maps()));
            });
        }
        for token in
            ["x", "%ff", "e30=", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTUsInN0YXJ0IjoieCJ9"]
        {
            self.case(&format!("a forged token {token}"), |to| {
                to.get(format!("{}?limit=1&continue={token}", maps()))
            });
        }
    }

    fn paths(&mut self) {
        for path in [
            "/api/v1/namespaces/bad-input/configmaps/..",
            "/api/v1/namespaces/bad-input/configmaps/../configmaps/a",
            "/api/v1/namespaces/bad-input/configmaps/%2e%2e",
            "/api/v1/namespaces/bad-input/configmaps/a%2fb",
            "/api/v1/namespaces/bad-input/configmaps/%2e%2e%2fsecrets%2fx",
            "/api/v1/namespaces/..%2f..%2fx/configmaps",
            "/api/v1//namespaces",
            "/api/v1/namespaces//configmaps",
            "/api/v1/namespaces/bad-input/configmaps/",
            "/api/v1/namespaces/bad-input/configmaps/a/",
            "/api/v1/namespaces/bad-input/configmaps/%00",
            "/api/v1/namespaces/bad-input/configmaps/%zz",
            "/api/v1/namespaces/bad-input/nope",
            "/api/v1/nope",
            "/apis/nope.example/v1/x",
            "/apis/apps/v9/deployments",
            "/api/v1/namespaces/bad-input/configmaps/a/nope",
            "/api/v1/namespaces/bad-input/deployments",
            "/API/v1/pods",
            "/api/v1/namespaces/BAD/configmaps",
            "/etc/passwd",
            "/../../etc/passwd",
            "/api/v1/namespaces/bad-input/configmaps/a?nope=1",
        ] {
            self.case(&format!("the path {path}"), |to| {
                to.get(path);
                to.delete(format!(
                    "{path}{}dryRun=All",
                    if path.contains('?') { "&" } else { "?" }
                ));
            });
        }
        self.case("a stale update", |to| {
            let mut object = map("a");
            object["metadata"]["resourceVersion"] =
                version_of(&format!("{}/a", deployments())).into();
            object["data"]["k"] = "stale".into();
            to.put(format!("{}/a?dryRun=All", maps()), &object);
        });
    }
}

/// A protobuf body of a kind: the envelope of `runtime.Unknown`.
fn envelope(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let field = |tag: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("short fields");
        [&[tag, length], bytes].concat()
    };
    let meta = [field(10, version.as_bytes()), field(18, kind.as_bytes())].concat();
    [b"k8s\0".to_vec(), field(10, &meta), field(18, raw)].concat()
}
