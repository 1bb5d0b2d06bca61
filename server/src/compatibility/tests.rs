//! Whether the page says all, and only what is so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::fields::ROWS;
use super::messages::{Entry, Side, entries, pool, rows};
use super::{Standing, etcd_page};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/compatibility/etcd.md")).expect("the page is there")
}

#[test]
fn the_page_is_generated_from_the_tables() {
    assert!(page() == etcd_page(), "docs/compatibility/etcd.md: run `cargo xtask generate`");
}

/// Every cell pair of message and field on the page.
fn on_the_page() -> BTreeSet<(String, String)> {
    let mut message = String::new();
    let mut found = BTreeSet::new();
    for line in page().lines() {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [name, fields, ..] = cells[..] else { continue };
        let name = name.trim_start_matches('|').trim();
        if !name.is_empty() {
            message = name.to_owned();
        }
        for field in fields.split(", ") {
            let field = field.trim_matches('`').to_owned();
            found.insert((message.clone(), field));
        }
    }
    found
}

#[test]
fn every_field_of_every_message_has_a_row() {
    let found = on_the_page();
    let mut fields = 0;
    for entry in entries(&pool()) {
        for field in entry.message.fields() {
            let pair = (entry.message.name().to_owned(), field.name().to_owned());
            assert!(found.contains(&pair), "no row for {pair:?}");
            fields += 1;
        }
    }
    assert!(fields > 230, "{fields}");
}

#[test]
fn words_are_about_fields_that_there_are() {
    let all: BTreeSet<_> = entries(&pool())
        .iter()
        .flat_map(|entry| {
            let message = entry.message.name().to_owned();
            let fields: Vec<_> = entry.message.fields().collect();
            fields.into_iter().map(move |field| (message.clone(), field.name().to_owned()))
        })
        .collect();
    let mut seen = BTreeSet::new();
    for row in ROWS {
        for field in row.fields {
            let pair = (row.message.to_owned(), (*field).to_owned());
            assert!(all.contains(&pair), "{pair:?} is no field of a served message");
            assert!(seen.insert(pair), "{field} of {} twice", row.message);
        }
    }
}

/// The source of what a proof names: a suite's folder or file, or a test's file.
fn source(proof: &str) -> String {
    let mut text = String::new();
    match proof.strip_prefix("suite ") {
        Some(suite) => {
            let at = root().join("jepsen-like-tests/harness/src").join(suite.replace('-', "_"));
            read(&at, &mut text);
            read(&at.with_extension("rs"), &mut text);
        }
        None => {
            let (file, _) = proof.split_once("::").expect("a test has a file");
            for tests in ["server/tests", "watch/tests"] {
                read(&root().join(tests).join(format!("{file}.rs")), &mut text);
            }
        }
    }
    assert!(!text.is_empty(), "{proof} has no source");
    text
}

fn read(path: &Path, text: &mut String) {
    if path.is_file() {
        text.push_str(&std::fs::read_to_string(path).expect("a file of the repository"));
    }
    let Ok(folder) = std::fs::read_dir(path) else { return };
    folder.for_each(|entry| read(&entry.expect("an entry").path(), text));
}

/// `hashedPassword` as Rust writes it.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    let mut lower = false;
    for character in name.chars() {
        if character.is_ascii_uppercase() && lower {
            snake.push('_');
        }
        lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

/// `cancel_request` as Rust names a choice.
fn pascal(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_ascii_uppercase() + rest
    });
    words.collect()
}

fn names(text: &str, name: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    text.match_indices(name).any(|(at, _)| {
        !is_part(text[..at].chars().next_back()) && !is_part(text[at + name.len()..].chars().next())
    })
}

/// Suites that hold whole answers against the real etcd's.
const WHOLE: &[&str] = &["suite diff", "suite auth", "suite gateway", "suite etcdctl"];

fn is_shown(entry: &Entry, field: &str, standing: &Standing) -> bool {
    let whole =
        entry.side == Side::Answer && standing.proofs.iter().any(|proof| WHOLE.contains(proof));
    whole
        || standing.proofs.iter().any(|proof| {
            let text = source(proof);
            let spelled = [field.to_owned(), snake(field), pascal(field)];
            spelled.iter().any(|name| names(&text, name))
        })
}

#[test]
fn what_is_said_to_show_a_field_names_it() {
    let mut lacking = Vec::new();
    for entry in entries(&pool()) {
        for (fields, own) in rows(&entry) {
            assert!(own.is_some() || !entry.shared, "{} needs rows", entry.message.name());
            let standing = own.unwrap_or(&entry.method.standing);
            for field in fields.iter().filter(|field| !is_shown(&entry, field, standing)) {
                lacking.push(format!("{}.{field}: {:?}", entry.message.name(), standing.proofs));
            }
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
}

/// The paths that the suite `gateway` takes from the page itself.
const FROM_THE_PAGE: &[&str] = &["/livez/", "/readyz/"];

#[test]
fn what_is_said_to_show_a_page_names_it() {
    let page = page();
    let part = page.split("## HTTP pages").nth(1).expect("the part about pages");
    let part = part.split("\n## ").next().expect("its text");
    let mut pages = 0;
    for row in part.lines().filter_map(|line| line.strip_prefix("| `/")) {
        let cells: Vec<&str> = row.trim_end_matches(" |").split(" | ").collect();
        let proofs = cells.last().expect("cells").split(", ").map(|proof| proof.trim_matches('`'));
        let proofs: Vec<&str> = proofs.filter(|proof| !proof.is_empty()).collect();
        let is_missing = cells.contains(&"missing");
        let text: String = proofs.iter().map(|proof| source(proof)).collect();
        for path in cells[0].split(", ") {
            let path = format!("/{}", path.trim_matches('`').trim_start_matches('/'));
            let path = path.split(['{', '…']).next().expect("a beginning");
            let asked = FROM_THE_PAGE.iter().any(|group| path.starts_with(group));
            assert!(asked || is_missing || text.contains(path), "{proofs:?} do not name {path}");
            pages += 1;
        }
    }
    assert!(pages > 15, "{pages}");
}
