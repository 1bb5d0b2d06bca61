//! Objects of shapes that typed decoding would refuse, given to the rows all the same.
//!
//! A row must not rely on who called it: whatever stands where, it says what is wrong or leaves it.

use super::hooks;
use crate::status::FieldErrors;
use schema::Value;
use serde_json::json;

/// Every object that the golden files begin with: its group, kind and text.
fn objects() -> impl Iterator<Item = (String, String, Value)> {
    const FILES: [&str; 7] = [
        include_str!("golden/cluster.txt"),
        include_str!("golden/core.txt"),
        include_str!("golden/jobs.txt"),
        include_str!("golden/more.txt"),
        include_str!("golden/network.txt"),
        include_str!("golden/pods.txt"),
        include_str!("golden/workloads.txt"),
    ];
    FILES.iter().flat_map(|text| {
        let lines = text.lines().zip(text.lines().skip(1));
        lines.filter_map(|(line, next)| {
            let mut words = line.strip_prefix("base ")?.split(' ');
            let group = words.next()?.split_once('/').map_or("", |(group, _)| group).to_owned();
            Some((group, words.next()?.to_owned(), serde_json::from_str(next).ok()?))
        })
    })
}

/// The JSON pointers to everything in a value.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Object(map) => {
            for (key, child) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                places(child, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(list) => {
            for (index, child) in list.iter().enumerate() {
                places(child, &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn no_row_relies_on_the_shape_of_an_object() {
    let odd = [json!(null), json!("x"), json!(-1), json!([{}]), json!({ "x": ["y"] })];
    let mut tried = 0;
    for (group, kind, object) in objects() {
        let row = hooks(&group, &kind);
        let mut whole = object.clone();
        (row.default)(&mut whole);
        let mut found = Vec::new();
        places(&whole, "", &mut found);
        for (place, value) in found.iter().flat_map(|place| odd.iter().map(move |it| (place, it))) {
            let mut strange = whole.clone();
            *strange.pointer_mut(place).expect("it was found there") = value.clone();
            let mut errors = FieldErrors::new();
            let mut new = strange.clone();
            (row.default)(&mut new);
            (row.admit_create)(&mut new);
            (row.prepare_create)(&mut new);
            row.validate_create(&new, true, &mut errors);
            let _ = (row.warnings)(&new, None);
            let strange = &strange;
            for (mut new, old) in
                [(strange.clone(), &whole), (whole.clone(), strange), (strange.clone(), strange)]
            {
                (row.prepare_update)(&mut new, old);
                row.validate_update(&new, old, true, &mut errors);
                (row.prepare_status)(&mut new, old);
                row.validate_status_update(&new, old, true, &mut errors);
                let _ = (row.warnings)(&new, Some(old));
            }
            tried += 1;
        }
    }
    assert!(tried > 4_000, "only {tried} objects");
}
