//! The checks on the shape of the repository: `cargo xtask tidy`, and a test of this crate.
//!
//! Invariant: every [`Rule`] is shown, by a test, to fail on a seeded violation. It writes nothing,
//! and it knows the repository only through the folder it is given, so that the tests can hand it
//! trees of their own.

pub(crate) mod arrows;
mod bans;
mod code;
pub(crate) mod rooms;
mod text;
pub(crate) mod wrap;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result};
use walkdir::WalkDir;

/// What a violation is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// A room depends on a room it may not use, or a package is no room.
    Arrow,
    /// A crate is named by a room that does not own it.
    Owner,
    /// A crate does not take the workspace's lints.
    Lints,
    /// A file is too long.
    FileLength,
    /// A function is too long.
    FunctionLength,
    /// A line is too wide.
    LineWidth,
    /// A Rust file has no `//!` header.
    Header,
    /// A file or module has a name that says nothing.
    Name,
    /// Time is read outside its seam.
    Clock,
    /// Randomness is taken outside its seam.
    Randomness,
    /// The environment is read outside the binary.
    Environment,
    /// The disk is reached outside its seams.
    Disk,
    /// A pure room names a runtime, threads or the network.
    Purity,
    /// The store uses a default-hashed collection.
    DefaultHash,
    /// A room ends the process.
    Exit,
    /// bincode is named outside a `codec` module.
    Codec,
    /// `unwrap()` outside tests.
    Unwrap,
    /// A test sleeps.
    Sleep,
    /// A test is ignored, or passes by panicking.
    WeakTest,
    /// Something was left to be done.
    LeftOver,
    /// A generated document is not what it is generated from.
    Generated,
    /// A page names a suite or a test that is not there.
    Proof,
    /// A document links to nothing, or is missing from the summary.
    Document,
    /// A file cannot be read as what it is.
    Unreadable,
}

/// One broken rule at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Violation {
    /// Which rule.
    pub(crate) rule: Rule,
    /// `path` or `path:line`, from the root.
    pub(crate) place: String,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {:?}: {}", self.place, self.rule, self.message)
    }
}

/// What a look at a tree found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// What refuses the tree.
    pub(crate) violations: Vec<Violation>,
    /// What is only told.
    pub(crate) warnings: Vec<String>,
    /// How many files were read.
    pub(crate) files: usize,
}

impl Findings {
    /// Adds a violation at a line (counted from 1; 0 is the whole file).
    pub(crate) fn add(&mut self, rule: Rule, path: &str, line: usize, message: impl Into<String>) {
        let place = if line == 0 { path.to_owned() } else { format!("{path}:{line}") };
        self.violations.push(Violation { rule, place, message: message.into() });
    }
}

/// Looks at the whole tree and prints what it finds; `Ok(true)` when there is nothing to mend.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let findings = check(root)?;
    for warning in &findings.warnings {
        println!("tidy: warning: {warning}");
    }
    for violation in &findings.violations {
        println!("tidy: {violation}");
    }
    println!("tidy: {} files, {} violations", findings.files, findings.violations.len());
    Ok(findings.violations.is_empty())
}

/// Looks at the whole tree.
///
/// # Errors
/// When the tree cannot be read, or cargo cannot describe it.
pub(crate) fn check(root: &Path) -> Result<Findings> {
    let mut findings = check_files(root)?;
    arrows::check(root, &mut findings)?;
    crate::documents::check(root, &mut findings)?;
    findings.violations.sort();
    Ok(findings)
}

/// Looks at each source file by itself.
fn check_files(root: &Path) -> Result<Findings> {
    let mut findings = Findings::default();
    for (path, text) in sources(root)? {
        findings.files += 1;
        text::check(&path, &text, &mut findings);
        if path.ends_with(".rs") {
            code::check(&path, &text, &mut findings);
        }
    }
    Ok(findings)
}

/// The files that people write, with their paths from the root, in a fixed order.
pub(crate) fn sources(root: &Path) -> Result<Vec<(String, String)>> {
    const KINDS: &[&str] = &["rs", "go", "sh", "md", "toml", "proto"];
    const NOT_OURS: &[&str] = &["target", "bin", "engram-dev"];
    let mut sources = Vec::new();
    let walk = WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        let hidden = name.starts_with('.');
        entry.depth() == 0 || !(hidden || entry.depth() == 1 && NOT_OURS.contains(&name.as_ref()))
    });
    for entry in walk {
        let entry = entry.context("walking the tree")?;
        let kind = entry.path().extension().and_then(|kind| kind.to_str()).unwrap_or_default();
        if !entry.file_type().is_file() || !KINDS.contains(&kind) {
            continue;
        }
        let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let bytes = std::fs::read(entry.path()).with_context(|| path.display().to_string())?;
        sources.push((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(sources)
}
