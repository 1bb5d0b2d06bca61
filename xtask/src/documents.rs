//! The documents: what is generated in them, whether their links lead somewhere, whether the book
//! names them.
//!
//! A generated part stands between `<!-- generated: name -->` and `<!-- end generated -->`; `cargo
//! xtask fix` writes it anew and tidy only compares.

pub(crate) mod commands;
mod proofs;

use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use crate::tidy::{Findings, Rule, arrows, sources};

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end generated -->";

/// The pages of the repository: path from the root, and text.
pub(crate) fn pages(root: &Path) -> Result<Vec<(String, String)>> {
    let all = sources(root)?;
    Ok(all.into_iter().filter(|(path, _)| path.ends_with(".md")).collect())
}

/// Looks at every page.
pub(crate) fn check(root: &Path, findings: &mut Findings) -> Result<()> {
    proofs::check(&sources(root)?, findings);
    let pages = pages(root)?;
    for (path, text) in &pages {
        match with_generated(path, text, &pages) {
            Ok(fresh) if fresh == *text => {}
            Ok(_) => findings.add(Rule::Generated, path, 0, "is out of date: `make fix`"),
            Err(error) => findings.add(Rule::Generated, path, 0, format!("{error:#}")),
        }
        links(root, path, text, findings);
    }
    summary(&pages, findings);
    Ok(())
}

/// Writes the generated parts anew; gives the pages that changed.
pub(crate) fn write(root: &Path) -> Result<Vec<String>> {
    let pages = pages(root)?;
    let mut written = Vec::new();
    for (path, text) in &pages {
        let fresh = with_generated(path, text, &pages).with_context(|| path.clone())?;
        if fresh != *text {
            std::fs::write(root.join(path), fresh).with_context(|| path.clone())?;
            written.push(path.clone());
        }
    }
    Ok(written)
}

/// A page's text with its generated parts as they should be.
fn with_generated(path: &str, text: &str, pages: &[(String, String)]) -> Result<String> {
    let mut fresh = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, from) = rest.split_at(at);
        let (name, after) = from[BEGIN.len()..]
            .split_once(" -->\n")
            .context("a `generated` mark is not closed with ` -->` at its line's end")?;
        let end = after.find(END).with_context(|| format!("no `{END}` after `{name}`"))?;
        let part = match name {
            "rooms" => arrows::table(),
            "owners" => arrows::owners(),
            "adr" => decisions(path, pages),
            _ => anyhow::bail!("nothing generates `{name}`"),
        };
        fresh += &format!("{before}{BEGIN}{name} -->\n{part}{END}");
        rest = &after[end + END.len()..];
    }
    Ok(fresh + rest)
}

/// The list of decision records beside an index page: number, title, state.
fn decisions(index: &str, pages: &[(String, String)]) -> String {
    let folder = Path::new(index).parent().unwrap_or(Path::new(""));
    let mut table = String::from("| decision | state |\n|---|---|\n");
    for (path, text) in pages.iter().filter(|(path, _)| path != index) {
        let path = Path::new(path);
        if path.parent() != Some(folder) {
            continue;
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let title = text.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(&file);
        let state = text.lines().find_map(|line| {
            let line = line.trim_start_matches("- ").replace("**", "");
            line.strip_prefix("Status: ").or(line.strip_prefix("State: ")).map(str::to_owned)
        });
        table += &format!("| [{title}]({file}) | {} |\n", state.as_deref().unwrap_or("accepted"));
    }
    table
}

/// Each relative link of a page leads to a file.
fn links(root: &Path, path: &str, text: &str, findings: &mut Findings) {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        for target in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = target.contains("://") || target.starts_with("mailto:");
            if !elsewhere && !file.is_empty() && !root.join(folder).join(file).exists() {
                let message = format!("links to `{target}`, which is not there");
                findings.add(Rule::Document, path, number + 1, message);
            }
        }
    }
}

/// Each page under `docs/` is named by `docs/SUMMARY.md`, so that the book holds it.
fn summary(pages: &[(String, String)], findings: &mut Findings) {
    const SUMMARY: &str = "docs/SUMMARY.md";
    let text = pages.iter().find(|(path, _)| path == SUMMARY).map_or("", |(_, text)| text);
    let named: Vec<PathBuf> = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|file| plain(&Path::new("docs").join(file)))
        .collect();
    for (path, _) in pages.iter().filter(|(path, _)| path.starts_with("docs/")) {
        if path != SUMMARY && !named.contains(&PathBuf::from(path)) {
            findings.add(Rule::Document, path, 0, format!("{SUMMARY} does not name it"));
        }
    }
}

/// A path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
