//! Scenarios drawn from a seed: writes, patches and reads of any kind, with values that may not
//! fit.
//!
//! Invariant: what is drawn depends on the seed alone.
//!
//! Must not know: how they are held.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::lifecycle::create_namespace;
use super::steps::{JSON_PATCH, MERGE, PARTIAL, STRATEGIC, Scenario, TABLE, version_of};

/// Requests of one scenario: short, so that sides that part over an object meet again soon.
const REQUESTS: usize = 40;

/// So many requests, in scenarios.
#[must_use]
pub fn all(seed: u64, requests: usize, kinds: &[Kind]) -> Vec<Scenario> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let drawn: Vec<&Kind> = kinds.iter().filter(|kind| !kind.later).collect();
    (0..requests.div_ceil(REQUESTS))
        .map(|number| scenario(&mut random, seed, number, &drawn))
        .collect()
}

fn scenario(random: &mut ChaCha8Rng, seed: u64, number: usize, kinds: &[&Kind]) -> Scenario {
    let mut to = Scenario::new(format!("random {seed}-{number}"));
    let namespace = format!("random-{seed}-{number}");
    create_namespace(&mut to, &namespace);
    let chosen: Vec<&Kind> = (0..3).filter_map(|_| kinds.choose(random).copied()).collect();
    for _ in 0..REQUESTS {
        let Some(kind) = chosen.choose(random) else { continue };
        request(random, &mut to, kind, &namespace);
    }
    for kind in chosen {
        let suite = format!("?labelSelector=suite%3D{namespace}");
        to.get(kind.collection(&namespace) + &suite);
    }
    to
}

fn request(random: &mut ChaCha8Rng, to: &mut Scenario, kind: &Kind, namespace: &str) {
    let name = format!("{namespace}-{}", random.random_range(0..3));
    let labels = json!({"suite": namespace, "l": random.random_range(0..3).to_string()});
    let all = kind.collection(namespace);
    let one = format!("{all}/{name}");
    let object = kind.object(namespace, &name, &labels);
    match random.random_range(0..12) {
        0 | 1 => to.post(&all, &object),
        2 => to.post(&all, &bent(random, object)),
        3 => {
            let mut object = bent(random, object);
            if object["metadata"].is_object() {
                object["metadata"]["resourceVersion"] = version_of(&one).into();
            }
            to.put(&one, &object);
        }
        4 => to.patch(&one, MERGE, &part(random, &object)),
        5 => to.patch(&one, STRATEGIC, &part(random, &object)),
        6 => to.patch(&one, JSON_PATCH, &operations(random, &object)),
        7 => to.patch(format!("{one}/status"), MERGE, &part(random, &object)),
        8 => {
            to.get_as(&one, [TABLE, PARTIAL, "application/yaml"].choose(random).expect("not empty"))
        }
        9 => to.get(format!(
            "{all}?labelSelector=suite%3D{namespace}&limit={}",
            random.random_range(0..3)
        )),
        10 => to.delete(&one),
        _ => to.get(&one),
    }
}

/// Every place in a value, as JSON pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut step = |name: &str, value: &Value| {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(at.clone());
        pointers(value, &at, found);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| step(name, value)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| step(&at.to_string(), value));
        }
        _ => {}
    }
}

fn place(random: &mut ChaCha8Rng, object: &Value) -> String {
    let mut found = Vec::new();
    pointers(object, "", &mut found);
    // Who an object is stays: a request that names another one tells only that.
    let identity = ["/kind", "/apiVersion", "/metadata", "/metadata/name", "/metadata/namespace"];
    found.retain(|place| !identity.contains(&place.as_str()));
    found.retain(|place| !place.starts_with("/metadata/labels"));
    found.choose(random).cloned().unwrap_or_else(|| "/spec".to_owned())
}

/// A value that may not fit.
fn odd(random: &mut ChaCha8Rng) -> Value {
    let values = [
        json!(null),
        json!(0),
        json!(-1),
        json!(1),
        json!(5_000_000_000_i64),
        json!(1.5),
        json!(true),
        json!(""),
        json!("x"),
        json!("A b"),
        json!("1"),
        json!("50%"),
        json!("x".repeat(300)),
        json!([]),
        json!({}),
        json!(["x"]),
        json!({"x": "y"}),
    ];
    values.choose(random).cloned().unwrap_or_default()
}

/// The object with one place changed.
fn bent(random: &mut ChaCha8Rng, mut object: Value) -> Value {
    let place = place(random, &object);
    let value = odd(random);
    if let Some(at) = object.pointer_mut(&place) {
        *at = value;
    }
    object
}

/// A patch of one place.
fn part(random: &mut ChaCha8Rng, object: &Value) -> Value {
    let place = place(random, object);
    // Lists are replaced as a whole: a patch has no place within one.
    let names: Vec<&str> =
        place.split('/').skip(1).take_while(|name| name.parse::<u32>().is_err()).collect();
    let value = odd(random);
    names
        .iter()
        .rev()
        .fold(value, |inner, name| json!({ name.replace("~1", "/").replace("~0", "~"): inner }))
}

fn operations(random: &mut ChaCha8Rng, object: &Value) -> Value {
    let count = random.random_range(1..3);
    (0..count)
        .map(|_| {
            let operation = ["add", "replace", "remove", "test"].choose(random).expect("not empty");
            json!({"op": operation, "path": place(random, object), "value": odd(random)})
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_same_seed_draws_the_same() {
        let kinds = crate::diff::kinds::all().expect("the file is part of this crate");
        let [a, b, c] = [1, 1, 2].map(|seed| format!("{:?}", super::all(seed, 80, &kinds)));
        assert_eq!(a, b);
        assert_ne!(a, c);
    }
}
