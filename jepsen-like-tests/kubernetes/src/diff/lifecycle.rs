//! One kind's life: the same questions for every kind.
//!
//! Must not know: what a kind means; `kinds.yaml` says what is sent.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::steps::{
    CONTINUE, JSON_PATCH, LIST_VERSION, MERGE, PARTIAL, PARTIAL_LIST, STRATEGIC, Scenario, TABLE,
    uid_of, version_of,
};

/// The namespace that a scenario about a kind has for itself.
#[must_use]
pub fn namespace_of(kind: &Kind) -> String {
    format!("life-{}-{}", kind.plural, kind.kind().len())
}

/// A scenario's own namespace is its first act.
pub fn create_namespace(scenario: &mut Scenario, namespace: &str) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    scenario.post("/api/v1/namespaces", &body);
}

/// The life of a kind.
#[must_use]
pub fn of(kind: &Kind) -> Scenario {
    let mut scenario = Scenario::new(format!("life of {}.{}", kind.plural, kind.api_version()));
    let namespace = namespace_of(kind);
    create_namespace(&mut scenario, &namespace);
    let life = Life {
        kind,
        all: kind.collection(&namespace),
        one: format!("{}/{}-a", kind.collection(&namespace), kind.plural),
        namespace,
    };
    life.creation(&mut scenario);
    life.reading(&mut scenario);
    life.writing(&mut scenario);
    life.patching(&mut scenario);
    life.subresources(&mut scenario);
    life.watching(&mut scenario);
    life.deletion(&mut scenario);
    scenario
}

struct Life<'a> {
    kind: &'a Kind,
    namespace: String,
    all: String,
    one: String,
}

impl Life<'_> {
    fn labels(&self, tier: &str) -> Value {
        json!({"suite": self.namespace, "tier": tier})
    }

    fn object(&self, name: &str, tier: &str) -> Value {
        let name = format!("{}-{name}", self.kind.plural);
        self.kind.object(&self.namespace, &name, &self.labels(tier))
    }

    fn query(&self, query: &str) -> String {
        format!("{}?labelSelector=suite%3D{}{query}", self.all, self.namespace)
    }

    fn creation(&self, to: &mut Scenario) {
        let first = self.object("a", "one");
        to.post(format!("{}?dryRun=All", self.all), &first);
        to.get(&self.one);
        to.post(&self.all, &first);
        to.post(&self.all, &first);
        let mut unknown = self.object("u", "one");
        unknown["nonsense"] = json!({"a": 1});
        unknown["metadata"]["labelz"] = json!({"a": "b"});
        to.post(format!("{}?fieldValidation=Strict", self.all), &unknown);
        to.post(format!("{}?fieldValidation=Warn&dryRun=All", self.all), &unknown);
        to.post(format!("{}?fieldValidation=Ignore&dryRun=All", self.all), &unknown);
        to.post(format!("{}?fieldValidation=Perhaps", self.all), &unknown);
        let mut nameless = self.object("n", "one");
        nameless["metadata"].as_object_mut().expect("an object").remove("name");
        to.post(&self.all, &nameless);
        nameless["metadata"]["generateName"] = "made-".into();
        to.post(&self.all, &nameless);
        let mut other = self.object("o", "one");
        other["kind"] = "Nonsense".into();
        to.post(&self.all, &other);
        let mut bare = self.object("bare", "two");
        bare.as_object_mut()
            .expect("an object")
            .retain(|name, _| matches!(name.as_str(), "kind" | "apiVersion" | "metadata"));
        to.post(&self.all, &bare);
        for (name, tier) in [("b", "one"), ("c", "two"), ("d", "two")] {
            to.post(&self.all, &self.object(name, tier));
        }
        let mut named = self.object("x", "one");
        named["metadata"]["name"] = "Bad_Name!".into();
        to.post(&self.all, &named);
        named["metadata"]["name"] = "y".repeat(254).into();
        to.post(&self.all, &named);
    }

    fn reading(&self, to: &mut Scenario) {
        to.get(&self.one);
        to.get(format!("{}-missing", self.one));
        for accept in [TABLE, PARTIAL, "application/yaml", "application/nonsense", "*/*"] {
            to.get_as(&self.one, accept);
        }
        to.get(self.query(""));
        to.get(self.query("&resourceVersion=0"));
        to.get(self.query("&limit=2"));
        to.get(format!("{}&continue={CONTINUE}", self.query("&limit=2")));
        to.get(format!("{}&continue={CONTINUE}", self.query("&limit=5")));
        to.get(self.query("%2Ctier%20in%20(two)"));
        to.get(self.query("%2C!tier"));
        to.get(self.query(&format!("&fieldSelector=metadata.name%3D{}-b", self.kind.plural)));
        to.get(self.query(&format!("&fieldSelector=metadata.name!%3D{}-b", self.kind.plural)));
        to.get(self.query("&fieldSelector=spec.nonsense%3Dx"));
        for accept in [TABLE, PARTIAL_LIST, "application/yaml"] {
            to.get_as(self.query(""), accept);
        }
        to.get_as(self.query("&includeObject=None"), TABLE);
    }

    fn writing(&self, to: &mut Scenario) {
        let mut update = self.object("a", "three");
        merge(&mut update, &self.kind.change);
        update["metadata"]["resourceVersion"] = "1".into();
        to.put(&self.one, &update);
        update["metadata"]["resourceVersion"] = "nonsense".into();
        to.put(&self.one, &update);
        update["metadata"]["resourceVersion"] = version_of(&self.one).into();
        to.put(format!("{}?dryRun=All", self.one), &update);
        to.put(&self.one, &update);
        // The same once more changes nothing.
        to.put(&self.one, &update);
        update["metadata"].as_object_mut().expect("an object").remove("resourceVersion");
        update["metadata"]["annotations"] = json!({"put": "without a version"});
        to.put(&self.one, &update);
        update["metadata"]["uid"] = "01234567-89ab-cdef-0123-456789abcdef".into();
        to.put(&self.one, &update);
        update["metadata"]["uid"] = uid_of(&self.one).into();
        update["metadata"]["name"] = "other".into();
        to.put(&self.one, &update);
        to.put(format!("{}-absent", self.one), &self.object("a-absent", "three"));
        let mut wrong = self.object("a", "three");
        merge(&mut wrong, &self.kind.wrong);
        wrong["metadata"]["resourceVersion"] = version_of(&self.one).into();
        to.put(&self.one, &wrong);
        to.get(&self.one);
    }

    fn patching(&self, to: &mut Scenario) {
        to.patch(&self.one, MERGE, &self.kind.change);
        to.patch(
            &self.one,
            STRATEGIC,
            &json!({"metadata": {"labels": {"tier": "four", "new": "x"}}}),
        );
        to.patch(&self.one, STRATEGIC, &json!({"metadata": {"labels": {"new": null}}}));
        to.patch(&self.one, MERGE, &json!({"metadata": {"annotations": {"note": "merged"}}}));
        to.patch(&self.one, MERGE, &json!({"metadata": {"annotations": {"note": "merged"}}}));
        let add = json!([{"op": "add", "path": "/metadata/labels/more", "value": "y"}]);
        to.patch(&self.one, JSON_PATCH, &add);
        let test = json!([{"op": "test", "path": "/metadata/labels/more", "value": "z"}]);
        to.patch(&self.one, JSON_PATCH, &test);
        to.patch(&self.one, JSON_PATCH, &json!([{"op": "remove", "path": "/metadata/nothing/x"}]));
        to.patch(&self.one, MERGE, &self.kind.wrong);
        to.patch(&self.one, STRATEGIC, &self.kind.wrong);
        to.patch(&self.one, "application/json", &json!({}));
        to.patch(&self.one, MERGE, &json!({"metadata": {"resourceVersion": "1"}}));
        to.patch(&self.one, MERGE, &json!({"metadata": {"uid": "other", "name": "other"}}));
        to.patch(&self.one, MERGE, &json!({"nonsense": 1}));
        to.patch(format!("{}?fieldValidation=Strict", self.one), MERGE, &json!({"nonsense": 1}));
        to.patch(format!("{}-missing", self.one), MERGE, &json!({}));
        to.get(&self.one);
    }

    fn subresources(&self, to: &mut Scenario) {
        let status = format!("{}/status", self.one);
        to.get(&status);
        if self.kind.status {
            let mut object = self.object("a", "status");
            object["metadata"]["annotations"] = json!({"by": "status"});
            merge(&mut object, &self.kind.change);
            to.put(&status, &object);
            let patch = json!({"metadata": {"labels": {"by": "patch"}}, "spec": {}, "status": {}});
            to.patch(&status, MERGE, &patch);
        }
        let scale = format!("{}/scale", self.one);
        to.get(&scale);
        if self.kind.scale {
            to.get_as(&scale, TABLE);
            to.patch(&scale, MERGE, &json!({"spec": {"replicas": 4}}));
            to.patch(&scale, MERGE, &json!({"spec": {"replicas": -1}}));
            let metadata =
                json!({"name": format!("{}-a", self.kind.plural), "namespace": self.namespace});
            let mut scaled = json!({"kind": "Scale", "apiVersion": "autoscaling/v1"});
            scaled["metadata"] = metadata;
            scaled["spec"] = json!({"replicas": 5});
            to.put(&scale, &scaled);
            to.get(&self.one);
        }
        to.get(format!("{}/nonsense", self.one));
        to.post(&self.one, &json!({}));
    }

    fn watching(&self, to: &mut Scenario) {
        to.get(self.query(""));
        let watch = |query: &str| self.query(&format!("&watch=true{query}"));
        to.open("from 0", watch("&resourceVersion=0"), super::steps::JSON);
        to.open("from now", watch(&format!("&resourceVersion={LIST_VERSION}")), super::steps::JSON);
        let initial =
            "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
        to.open("initial", watch(initial), super::steps::JSON);
        to.open("selected", watch("%2Ctier%3Dtwo"), super::steps::JSON);
        to.open("table", watch(""), TABLE);
        to.open("partial", watch(""), PARTIAL);
        let b = format!("{}/{}-b", self.all, self.kind.plural);
        let c = format!("{}/{}-c", self.all, self.kind.plural);
        to.patch(&b, MERGE, &json!({"metadata": {"labels": {"tier": "two"}}}));
        to.patch(&c, MERGE, &json!({"metadata": {"labels": {"tier": "one"}}}));
        to.patch(&c, MERGE, &json!({"metadata": {"annotations": {"seen": "once"}}}));
        to.delete(&c);
        to.close();
    }

    fn deletion(&self, to: &mut Scenario) {
        let name = |name: &str| format!("{}/{}-{name}", self.all, self.kind.plural);
        let other = "01234567-89ab-cdef-0123-456789abcdef";
        to.delete_with(&self.one, &json!({"preconditions": {"uid": other}}));
        to.delete_with(&self.one, &json!({"preconditions": {"resourceVersion": "1"}}));
        to.delete(format!("{}?dryRun=All", self.one));
        to.patch(&self.one, MERGE, &json!({"metadata": {"finalizers": ["example.com/hold"]}}));
        let right = json!({"preconditions": {"uid": uid_of(&self.one)}});
        to.delete_with(&self.one, &right);
        to.get(&self.one);
        to.delete(&self.one);
        to.patch(
            &self.one,
            MERGE,
            &json!({"metadata": {"finalizers": ["a.b/c", "example.com/hold"]}}),
        );
        to.patch(&self.one, MERGE, &json!({"metadata": {"finalizers": null}}));
        to.get(&self.one);
        to.delete(&self.one);
        to.delete_with(name("b"), &json!({"propagationPolicy": "Foreground"}));
        to.get(name("b"));
        to.patch(name("b"), MERGE, &json!({"metadata": {"finalizers": null}}));
        to.delete_with(name("d"), &json!({"propagationPolicy": "Orphan"}));
        to.delete_with(name("d"), &json!({"propagationPolicy": "Nonsense"}));
        to.delete_with(name("d"), &json!({"kind": "Nonsense", "apiVersion": "v1"}));
        to.patch(name("d"), MERGE, &json!({"metadata": {"finalizers": null}}));
        to.raw("DELETE", self.query("&dryRun=All"), super::steps::JSON, "", "");
        to.get(self.query(""));
        to.raw("DELETE", self.query("%2Ctier%3Dtwo"), super::steps::JSON, "", "");
        to.raw("DELETE", self.query(""), super::steps::JSON, "", "");
        to.get(self.query(""));
    }
}

/// RFC 7386, as far as the changes of `kinds.yaml` need it.
pub fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (name, value) in patch {
        match value {
            Value::Null => {
                into.as_object_mut().expect("made an object above").remove(name);
            }
            value => merge(&mut into[name.as_str()], value),
        }
    }
}
