//! Differences, grouped so that one cause is one group.
//!
//! Invariants: a group's key names the place and the kind of difference, not the object; each
//! accepted difference is a row of [`ACCEPTED`] with its reason, and a row that no longer occurs is
//! told.
//!
//! Must not know: how answers are obtained.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use programs::glob;
use serde_json::Value;

use super::accepted::{ACCEPTED, Accepted};

/// Values longer than this are cut in the key of a group.
const KEY_CHARACTERS: usize = 90;

/// One difference between two answers.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The scenario it was found in.
    pub scenario: String,
    /// Method and resource: `PUT deployments/status`.
    pub asked: String,
    /// The whole request.
    pub request: String,
    /// Where: `status`, `header Warning`, or a JSON path.
    pub place: String,
    /// What the real one has there.
    pub theirs: Option<Value>,
    /// What ours has there.
    pub ours: Option<Value>,
}

/// All differences of a run, grouped.
#[derive(Debug, Default)]
pub struct Report {
    groups: BTreeMap<String, Group>,
    accepted: BTreeMap<usize, u64>,
    /// Differences on an object on which the sides had already parted.
    pub follow_ups: u64,
    /// Whether what a row accepts is shown too, under the row's number.
    pub shows_accepted: bool,
}

#[derive(Debug)]
struct Group {
    count: u64,
    asked: BTreeSet<String>,
    scenarios: BTreeSet<String>,
    example: Difference,
}

impl Report {
    /// Takes in a difference.
    pub fn add(&mut self, difference: Difference) {
        if let Some(row) = ACCEPTED.iter().position(|row| covers(row, &difference)) {
            *self.accepted.entry(row).or_default() += 1;
            if self.shows_accepted {
                self.group(format!("row {row}: {}", key(&difference)), difference);
            }
            return;
        }
        self.group(key(&difference), difference);
    }

    fn group(&mut self, key: String, difference: Difference) {
        let group = self.groups.entry(key).or_insert_with(|| Group {
            count: 0,
            asked: BTreeSet::new(),
            scenarios: BTreeSet::new(),
            example: difference.clone(),
        });
        group.count += 1;
        group.asked.insert(difference.asked);
        group.scenarios.insert(difference.scenario);
    }

    /// Groups of differences that no row accepts.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// How many differences no row accepts.
    #[must_use]
    pub fn unaccepted(&self) -> u64 {
        self.groups.values().map(|group| group.count).sum()
    }

    /// Accepted rows that did not occur.
    pub fn stale(&self) -> impl Iterator<Item = &'static Accepted> {
        let seen = |number: &usize| !self.accepted.contains_key(number);
        (0..ACCEPTED.len()).filter(seen).map(|number| &ACCEPTED[number])
    }

    /// How many differences the accepted rows cover.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.values().sum()
    }

    /// The groups as text, the largest first, at most so many.
    #[must_use]
    pub fn text(&self, groups_max: usize) -> String {
        let mut groups: Vec<_> = self.groups.iter().collect();
        // What is taken or refused comes first, then what occurs most.
        groups.sort_by_key(|(_, group)| {
            (group.example.place != "status", std::cmp::Reverse(group.count))
        });
        let mut text = String::new();
        for (key, group) in groups.iter().take(groups_max) {
            let Difference { request, theirs, ours, .. } = &group.example;
            let list = |set: &BTreeSet<String>| {
                let shown: Vec<_> = set.iter().take(6).map(String::as_str).collect();
                let more = set.len().saturating_sub(6);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                shown.join(", ") + &more
            };
            let _ = writeln!(
                text,
                "{:>5}x {key}\n       on {}\n       in {}\n       e.g. {}\n       real: {}\n       ours: {}",
                group.count,
                list(&group.asked),
                list(&group.scenarios),
                cut(request, 400),
                shown(theirs.as_ref(), ours.as_ref()),
                shown(ours.as_ref(), theirs.as_ref()),
            );
        }
        if groups.len() > groups_max {
            let _ = writeln!(text, "… and {} groups more", groups.len() - groups_max);
        }
        text
    }
}

fn covers(row: &Accepted, difference: &Difference) -> bool {
    let whole = |value| brief(value, usize::MAX);
    let values = format!("{} | {}", whole(&difference.theirs), whole(&difference.ours));
    glob(row.asked, &difference.asked)
        && glob(row.place, &difference.place)
        && row.values.is_none_or(|pattern| glob(pattern, &values))
}

fn key(difference: &Difference) -> String {
    let Difference { place, theirs, ours, .. } = difference;
    let [theirs, ours] = [theirs, ours].map(|value| brief(value, KEY_CHARACTERS));
    format!("{}: {theirs} -> {ours}", without_names(&of_object(place)))
}

/// A path without the names of the elements that are missing or extra.
fn without_names(place: &str) -> String {
    match (place.find('['), place.rfind(']')) {
        (Some(open), Some(close)) if close > open + 1 && !place[open..].starts_with("[]") => {
            format!("{}[…]{}", &place[..open], &place[close + 1..])
        }
        _ => place.to_owned(),
    }
}

/// An object's path is the same wherever the object stands.
fn of_object(place: &str) -> String {
    let prefixes = [
        "events[].object.rows[].object.",
        "events[].object.items[].",
        "events[].object.",
        "body.rows[].object.",
        "body.items[].",
        "body.",
    ];
    let inner = prefixes.iter().find_map(|prefix| place.strip_prefix(prefix));
    inner.map_or_else(|| place.to_owned(), |inner| format!("object.{inner}"))
}

/// A value as rows and the keys of groups see it: scalars themselves, without quoted names.
fn brief(value: &Option<Value>, characters: usize) -> String {
    match value {
        None => "nothing".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(Value::Array(items)) => format!("{} items", items.len()),
        Some(Value::String(text)) => cut(&without_quoted(text), characters),
        Some(other) => other.to_string(),
    }
}

/// What stands between quotes is the object's own; the words around are the message.
fn without_quoted(text: &str) -> String {
    let parts = text.split('"').enumerate();
    parts.map(|(number, part)| if number % 2 == 0 { part } else { "\"…\"" }).collect()
}

/// A value as text, from shortly before the place where it parts from the other.
fn shown(value: Option<&Value>, other: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    let other = other.map(Value::to_string).unwrap_or_default();
    let same = text.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
    if same < 120 || other.is_empty() {
        return cut(&text, 400);
    }
    let rest: String = text.chars().skip(same - 60).collect();
    format!("…{}", cut(&rest, 300))
}

fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_accepted_row_covers_only_its_place() {
        use super::super::accepted::Accepted;
        let row = Accepted { asked: "GET *", place: "header ETag", values: None, reason: "" };
        let mut difference = super::Difference {
            scenario: String::new(),
            asked: "GET pods".to_owned(),
            request: String::new(),
            place: "header ETag".to_owned(),
            theirs: None,
            ours: None,
        };
        assert!(super::covers(&row, &difference));
        difference.place = "status".to_owned();
        assert!(!super::covers(&row, &difference));
    }

    #[test]
    fn a_row_sees_the_end_of_a_long_message() {
        use super::super::accepted::Accepted;
        let values = Some("*the end | nothing");
        let row = Accepted { asked: "*", place: "*", values, reason: "" };
        let long = format!("{} the end", "x".repeat(super::KEY_CHARACTERS));
        let difference = super::Difference {
            scenario: String::new(),
            asked: "GET pods".to_owned(),
            request: String::new(),
            place: "body.message".to_owned(),
            theirs: Some(long.into()),
            ours: None,
        };
        assert!(super::covers(&row, &difference));
    }
}
