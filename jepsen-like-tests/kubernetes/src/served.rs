//! The table of what is served and which suite exercises it, made from the facts of the schema and
//! from what the suites themselves ask.
//!
//! Invariant: a resource is said to be exercised by a suite when a request, or a command line, of
//! that suite names it.
//!
//! Must not know: how a suite is run.

use anyhow::Result;
use schema::types::{ResourceFacts, Schema};

use crate::diff::steps::{Act, Scenario};
use crate::diff::{bad_input, kinds, topics};
use crate::kubectl;

/// The section as Markdown: one row per resource, in the order of discovery.
///
/// *Errors*: a file of this crate does not parse.
pub fn section() -> Result<String> {
    let suites = Suites::read()?;
    let mut text = String::from(include_str!("served.md"));
    text += "| resource | verbs | status | scale | other subresources | suites |\n";
    text += "|---|---|---|---|---|---|\n";
    for facts in Schema::builtin().resources() {
        text += &row(facts, &suites);
    }
    Ok(text)
}

fn row(facts: &ResourceFacts, suites: &Suites) -> String {
    let sub = |name: &str| {
        facts.subresource(name).map_or_else(|| "–".to_owned(), |sub| shown(&sub.verbs))
    };
    let others = facts.subresources.iter().filter(|sub| !["status", "scale"].contains(&sub.name));
    let others: Vec<String> =
        others.map(|sub| format!("{} ({})", sub.name, shown(&sub.verbs))).collect();
    let others = if others.is_empty() { "–".to_owned() } else { others.join("; ") };
    format!(
        "| `{}` {} | {} | {} | {} | {others} | {} |\n",
        facts.api_version(),
        facts.plural,
        shown(&facts.verbs),
        sub("status"),
        sub("scale"),
        suites.of(facts).join(", ")
    )
}

/// All eight verbs of a stored resource.
const ALL: [&str; 8] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

fn shown(verbs: &[&str]) -> String {
    if verbs == ALL { "all".to_owned() } else { verbs.join(", ") }
}

/// What the suites ask.
struct Suites {
    /// The paths of all requests, by suite.
    conversations: [(&'static str, Vec<String>); 3],
    /// Words of the command lines.
    words: Vec<String>,
}

impl Suites {
    fn read() -> Result<Self> {
        let mut bad = bad_input::cases()?;
        bad.push(bad_input::preparation());
        let lives: Vec<Scenario> = kinds::all()?.iter().map(crate::diff::lifecycle::of).collect();
        let sections = kubectl::script()?;
        let lines = sections.iter().flat_map(|section| section.lines());
        let mut words: Vec<String> = lines.flat_map(|line| named(&line.words)).collect();
        let files = sections.iter().flat_map(|section| &section.files);
        words.extend(files.flat_map(|(_, text)| kinds_in(text)));
        Ok(Self {
            conversations: [
                ("life and random", asked(&lives)),
                ("topics", asked(&topics::all()?)),
                ("bad input", asked(&bad)),
            ],
            words,
        })
    }

    /// The suites that name a resource; discovery is compared for each.
    fn of(&self, facts: &ResourceFacts) -> Vec<&'static str> {
        let mut found = vec!["discovery"];
        for (suite, asked) in &self.conversations {
            if asked.iter().any(|path| is_at(path, facts)) {
                found.push(suite);
            }
        }
        let short = facts.short_names.iter().copied();
        let mut names = short.chain([facts.plural, facts.singular, facts.kind]);
        let preferred = Schema::builtin().resources().iter().find(|it| it.plural == facts.plural);
        let is_preferred = preferred.is_some_and(|first| first.group == facts.group);
        if is_preferred && names.any(|name| self.words.iter().any(|word| word == name)) {
            found.push("kubectl");
        }
        found
    }
}

/// The paths that scenarios ask for.
fn asked(scenarios: &[Scenario]) -> Vec<String> {
    let path = |target: &str| target.split('?').next().unwrap_or_default().to_owned();
    let acts = scenarios.iter().flat_map(|scenario| &scenario.acts);
    acts.filter_map(|act| match act {
        Act::Ask(request) => Some(path(&request.target)),
        Act::Open { target, .. } => Some(path(target)),
        Act::Close => None,
    })
    .collect()
}

/// Whether a path is of a resource.
fn is_at(path: &str, facts: &ResourceFacts) -> bool {
    let root = if facts.group.is_empty() { "/api/" } else { "/apis/" };
    let Some(rest) = path.strip_prefix(root) else { return false };
    let Some(rest) = rest.strip_prefix(&format!("{}/", facts.api_version())) else { return false };
    let mut parts = rest.split('/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("namespaces"), _, None | Some("status" | "finalize")) => facts.plural == "namespaces",
        (Some("namespaces"), _, Some(plural)) => facts.namespaced && plural == facts.plural,
        (plural, ..) => plural == Some(facts.plural),
    }
}

/// What a command line names: `get cm,secret`, `set image deployment/web`.
fn named(line: &[String]) -> Vec<String> {
    let words = line.iter().filter(|word| !word.starts_with('-')).enumerate();
    let words = words.filter(|(at, word)| *at == 1 || word.contains('/'));
    let words = words.flat_map(|(_, word)| word.split(','));
    words.map(|word| word.split(['/', '.']).next().unwrap_or_default().to_owned()).collect()
}

/// The kinds of the objects in a file.
fn kinds_in(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("kind: "));
    lines.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use schema::types::Schema;

    use super::{Suites, is_at, row};

    #[test]
    fn a_resource_is_told_from_its_path() {
        let resources = Schema::builtin().resources();
        let of = |path: &str| {
            let found: Vec<_> = resources.iter().filter(|it| is_at(path, it)).collect();
            found.iter().map(|it| it.plural).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("/api/v1/namespaces/a/pods/b/status"), "pods");
        assert_eq!(of("/apis/apps/v1/namespaces/a/deployments"), "deployments");
        assert_eq!(of("/api/v1/namespaces/a"), "namespaces");
        assert_eq!(of("/api/v1/namespaces"), "namespaces");
        assert_eq!(of("/api/v1/nodes/a"), "nodes");
        assert_eq!(of("/apis/apps/v9/deployments"), "");
    }

    #[test]
    fn a_row_names_verbs_subresources_and_suites() {
        let suites = Suites::read().expect("files of this crate");
        let facts = Schema::builtin().resource("apps", "v1", "deployments").expect("served");
        let row = row(facts, &suites);
        let verbs = "| all | get, patch, update | get, patch, update | – |";
        assert!(row.contains(verbs), "{row}");
        let suites = "discovery, life and random, topics, bad input, kubectl |";
        assert!(row.trim_end().ends_with(suites), "{row}");
    }
}
