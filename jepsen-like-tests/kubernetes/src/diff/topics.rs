//! Scenarios as text: those about one part of the API each, and those of bad input.
//!
//! Must not know: how they are held.

use anyhow::{Context, Result, bail};

use super::steps::{JSON, JSON_PATCH, MERGE, PARTIAL, STRATEGIC, Scenario, TABLE};

/// The scenarios about one part of the API each.
///
/// *Errors*: the file does not parse.
pub fn all() -> Result<Vec<Scenario>> {
    parse(include_str!("topics.txt")).context("topics.txt")
}

/// The cases of bad input that can be written down.
///
/// *Errors*: the file does not parse.
pub fn bad_input() -> Result<Vec<Scenario>> {
    parse(include_str!("bad_input.txt")).context("bad_input.txt")
}

fn parse(text: &'static str) -> Result<Vec<Scenario>> {
    let mut scenarios: Vec<Scenario> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some(name) = line.strip_prefix("== ") {
            scenarios.push(Scenario::new(name));
            continue;
        }
        let Some(scenario) = scenarios.last_mut() else { bail!("before any scenario: {line}") };
        act(scenario, line).with_context(|| line.to_owned())?;
    }
    Ok(scenarios)
}

/// One line of a scenario.
fn act(scenario: &mut Scenario, line: &'static str) -> Result<()> {
    if line == "close" {
        scenario.close();
        return Ok(());
    }
    if let Some(rest) = line.strip_prefix("open \"") {
        let (name, rest) = rest.split_once("\" ").context("the name does not end")?;
        let (target, accept) = rest.split_once(" as ").unwrap_or((rest, "json"));
        scenario.open(name, target, media_type(accept));
        return Ok(());
    }
    let (method, rest) = line.split_once(' ').context("no path")?;
    let (rest, content_type, body) = body(rest)?;
    let (target, accept) = rest.split_once(" as ").unwrap_or((rest, "json"));
    scenario.raw(method, target, media_type(accept), content_type, body);
    Ok(())
}

/// What stands before the body, the body's type, and the body.
fn body(rest: &'static str) -> Result<(&'static str, &'static str, String)> {
    let typed = |after: &'static str| after.split_once(' ').context("a type without a body");
    if let Some((before, after)) = rest.split_once(" text ") {
        let (content_type, text) = typed(after)?;
        return Ok((before, media_type(content_type), serde_json::from_str(text)?));
    }
    match rest.split_once(" with ") {
        Some((before, after)) => {
            let (content_type, text) = typed(after)?;
            Ok((before, media_type(content_type), text.to_owned()))
        }
        None => Ok((rest, "", String::new())),
    }
}

fn media_type(word: &'static str) -> &'static str {
    match word {
        "json" => JSON,
        "table" => TABLE,
        "partial" => PARTIAL,
        "merge" => MERGE,
        "operations" => JSON_PATCH,
        "strategic" => STRATEGIC,
        "none" => "",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::steps::Act;

    #[test]
    fn both_files_are_read() {
        assert!(super::all().expect("part of this crate").len() >= 10);
        assert!(super::bad_input().expect("part of this crate").len() >= 100);
    }

    #[test]
    fn a_line_says_method_path_accept_and_body() {
        let text = "== x\nPUT /a?b=c as table with merge {\"a\": 1}\nopen \"n\" /w\nclose\n";
        let scenarios = super::parse(text).expect("well formed");
        let [Act::Ask(put), Act::Open { name, .. }, Act::Close] = &scenarios[0].acts[..] else {
            panic!("{scenarios:?}");
        };
        assert_eq!((put.method, put.target.as_str(), name.as_str()), ("PUT", "/a?b=c", "n"));
        assert_eq!((put.accept, put.content_type), (super::TABLE, super::MERGE));
        assert_eq!(put.body, "{\"a\": 1}");
    }

    #[test]
    fn a_line_that_stands_nowhere_is_refused() {
        assert!(super::parse("GET /a").is_err());
        assert!(super::parse("== x\nGET").is_err());
    }
}
