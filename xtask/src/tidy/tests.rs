//! Each rule is shown to fail on a seeded violation, and the repository itself to pass.

use std::path::Path;

use tempfile::TempDir;

use super::{Rule, check};

/// A rule, the file that breaks it, and that file's text.
struct Seed {
    rule: Rule,
    path: &'static str,
    text: String,
}

fn seed(rule: Rule, path: &'static str, text: impl Into<String>) -> Seed {
    Seed { rule, path, text: text.into() }
}

/// A manifest of a room, with lines for its dependencies.
fn manifest(package: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = \"{package}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lints]\nworkspace = true\n\n{dependencies}\n"
    )
}

/// A Rust file with a header and these lines.
fn file(lines: &str) -> String {
    format!("//! A seeded file.\n\n{lines}\n")
}

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a temp folder");
    std::fs::write(path, text).expect("a temp file");
}

/// A page whose rows name what shows them.
const PROVEN: &str = "docs/compatibility/proven.md";

/// A small tree that breaks no rule: the rooms proto, store and raft.
fn clean_tree() -> TempDir {
    let tree = TempDir::new().expect("a temp folder");
    let root = tree.path();
    let members = "members = [\"proto/messages\", \"store\", \"raft\"]";
    let workspace = format!("[workspace]\nresolver = \"3\"\n{members}\n[workspace.lints.rust]\n");
    write(root, "Cargo.toml", &workspace);
    write(root, "proto/messages/Cargo.toml", &manifest("engram-proto", ""));
    let proto = "[dependencies]\nengram-proto = { path = \"../proto/messages\" }";
    write(root, "store/Cargo.toml", &manifest("engram-store", proto));
    write(root, "raft/Cargo.toml", &manifest("engram-raft", proto));
    for room in ["proto/messages", "store", "raft"] {
        write(root, &format!("{room}/src/lib.rs"), &file("fn nothing() {}"));
    }
    let summary = "# Summary\n\n[A page](page.md)\n[Proven](compatibility/proven.md)\n";
    write(root, "docs/SUMMARY.md", summary);
    write(root, PROVEN, "| a row | same | `src/lib::nothing` |\n");
    write(root, "docs/page.md", "# A page\n\n[the summary](SUMMARY.md)\n");
    tree
}

fn broken_rules(root: &Path) -> Vec<Rule> {
    let findings = check(root).expect("the tree can be read");
    let mut rules: Vec<Rule> = findings.violations.iter().map(|found| found.rule).collect();
    rules.dedup();
    rules
}

/// What is looked for in lines is put together here, or this file would be refused itself.
fn left_over() -> String {
    file(&format!("// {}{} this later", "TO", "DO"))
}

fn long(lines: usize) -> String {
    file(&format!("fn long() {{\n{}}}", "    nothing();\n".repeat(lines)))
}

fn manifest_seeds() -> Vec<Seed> {
    let upward = "[dependencies]\nengram-raft = { path = \"../raft\" }";
    let registry = "[dependencies]\nrocksdb = \"0.25\"";
    let unknown = "[dependencies]\nleft-pad = \"1\"";
    let unlinted = manifest("engram-store", "").replace("[lints]\nworkspace = true\n", "");
    vec![
        seed(Rule::Arrow, "store/Cargo.toml", manifest("engram-store", upward)),
        seed(Rule::Arrow, "store/Cargo.toml", manifest("engram-cupboard", "")),
        seed(Rule::Owner, "store/Cargo.toml", manifest("engram-store", registry)),
        seed(Rule::Owner, "store/Cargo.toml", manifest("engram-store", unknown)),
        seed(Rule::Lints, "store/Cargo.toml", unlinted),
    ]
}

fn text_seeds() -> Vec<Seed> {
    vec![
        seed(Rule::FileLength, "store/src/a.rs", file(&"// a line\n".repeat(1001))),
        seed(Rule::FunctionLength, "store/src/a.rs", long(70)),
        seed(Rule::LineWidth, "store/src/a.rs", file(&format!("// {}", "x".repeat(98)))),
        seed(Rule::Header, "store/src/a.rs", "fn nothing() {}\n"),
        seed(Rule::Name, "store/src/utils.rs", file("")),
        seed(Rule::LeftOver, "store/src/a.rs", left_over()),
        seed(Rule::LeftOver, "store/src/a.rs", file(&format!("fn a() {{ {}{}); }}", "todo", "!("))),
        seed(
            Rule::Generated,
            "docs/page.md",
            "<!-- generated: rooms -->\n<!-- end generated -->\n",
        ),
        seed(Rule::Document, "docs/page.md", "[nowhere](nowhere.md)\n"),
        seed(Rule::Proof, PROVEN, "| a row | `suite none` |\n"),
        seed(Rule::Proof, PROVEN, "| a row | same | `store/src/lib::nothing_at_all` |\n"),
        seed(Rule::Document, "docs/unnamed.md", "# Not in the summary\n"),
        seed(Rule::Unreadable, "store/src/a.rs", file("fn fn")),
    ]
}

fn code_seeds() -> Vec<Seed> {
    let test = "#[cfg(test)]\nmod tests {\n";
    vec![
        seed(
            Rule::Clock,
            "raft/src/a.rs",
            file("use std::time::Instant;\nfn a() { Instant::now(); }"),
        ),
        seed(
            Rule::Clock,
            "raft/src/a.rs",
            file("fn a() { assert!(std::time::SystemTime::now() > b); }"),
        ),
        seed(Rule::Randomness, "raft/src/a.rs", file("fn a() -> u64 { rand::random() }")),
        seed(Rule::Environment, "raft/src/a.rs", file("use std::env;\nfn a() {}")),
        seed(Rule::Disk, "raft/src/a.rs", file("use std::{fs as disk, io};\nfn a() {}")),
        seed(Rule::Purity, "store/src/a.rs", file("fn a() { std::thread::spawn(b); }")),
        seed(Rule::Purity, "store/src/a.rs", file("use tokio::sync::Mutex;")),
        seed(
            Rule::DefaultHash,
            "store/src/a.rs",
            file("use std::collections::{BTreeMap, HashMap};"),
        ),
        seed(Rule::Exit, "raft/src/a.rs", file("fn a() { std::process::exit(1) }")),
        seed(Rule::Codec, "raft/src/a.rs", file("fn a() { bincode::encode(b); }")),
        seed(Rule::Unwrap, "raft/src/a.rs", file("fn a() { b.unwrap(); }")),
        seed(Rule::Unwrap, "raft/src/a.rs", file("fn a() { format!(\"{}\", b.unwrap()); }")),
        seed(
            Rule::Sleep,
            "raft/src/a.rs",
            file(&format!("{test}use std::thread;\nfn a() {{ thread::{}(b); }}\n}}", "sleep")),
        ),
        seed(
            Rule::WeakTest,
            "raft/src/a.rs",
            file(&format!("{test}#[test]\n#[{}]\nfn a() {{}}\n}}", "ignore")),
        ),
        seed(
            Rule::WeakTest,
            "raft/tests/a.rs",
            file(&format!("#[test]\n#[{}_panic]\nfn a() {{}}", "should")),
        ),
    ]
}

#[test]
fn a_tree_without_violations_passes() {
    assert_eq!(broken_rules(clean_tree().path()), []);
}

#[test]
fn each_rule_fails_on_its_seeded_violation() {
    for seeded in manifest_seeds().into_iter().chain(text_seeds()).chain(code_seeds()) {
        let tree = clean_tree();
        write(tree.path(), seeded.path, &seeded.text);
        let broken = broken_rules(tree.path());
        assert_eq!(broken, [seeded.rule], "{}:\n{}", seeded.path, seeded.text);
    }
}

#[test]
fn every_rule_has_a_seeded_violation() {
    let mut seeded: Vec<Rule> = manifest_seeds().iter().map(|seed| seed.rule).collect();
    seeded.extend(text_seeds().iter().chain(&code_seeds()).map(|seed| seed.rule));
    // Rules are numbered in order and `Unreadable` is the last.
    let missing: Vec<usize> = (0..=Rule::Unreadable as usize)
        .filter(|&number| !seeded.iter().any(|&rule| rule as usize == number))
        .collect();
    assert!(missing.is_empty(), "rules without a seed, by number: {missing:?}");
}

#[test]
fn what_only_looks_like_a_violation_passes() {
    let tree = clean_tree();
    let innocent = "\
/// The clock's `Instant::now` is named in words alone, and so is `unwrap()`.
fn a(b: Option<u8>) -> u8 { b.unwrap_or_default() }
#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    #[test]
    fn free() { HashMap::from([(1, 2)]).get(&1).unwrap(); }
}";
    write(tree.path(), "store/src/a.rs", &file(innocent));
    write(tree.path(), "raft/src/codec.rs", &file("fn a() { bincode::encode(b); }"));
    assert_eq!(broken_rules(tree.path()), []);
}

#[test]
fn the_repository_is_tidy() {
    let findings = check(&crate::workspace_root()).expect("the repository can be read");
    let lines: Vec<String> = findings.violations.iter().map(ToString::to_string).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}
