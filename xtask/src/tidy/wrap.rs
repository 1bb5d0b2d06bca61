//! Wraps comments that are too wide, which rustfmt leaves alone: part of `cargo xtask fix`.
//!
//! Invariant: only a paragraph with a line that is too wide is touched, and only its line breaks
//! change. Tables, code fences and headings are left as they are.

use std::path::Path;

use anyhow::{Context, Result};

use super::text::LINE_CHARS_MAX;

/// Wraps the comments of every Rust file; gives the files that changed.
pub(crate) fn write(root: &Path) -> Result<Vec<String>> {
    let mut written = Vec::new();
    for (path, text) in super::sources(root)?.into_iter().filter(|(path, _)| path.ends_with(".rs"))
    {
        let fresh = wrapped(&text);
        if fresh != text {
            std::fs::write(root.join(&path), fresh).with_context(|| path.clone())?;
            written.push(path);
        }
    }
    Ok(written)
}

/// A paragraph of a comment: lines of one indent and mark, and how its further lines hang.
struct Paragraph<'a> {
    lead: &'a str,
    hang: String,
    lines: Vec<&'a str>,
}

/// The text with its wide comments wrapped.
fn wrapped(text: &str) -> String {
    let mut fresh = String::new();
    let mut open: Option<Paragraph<'_>> = None;
    let mut in_code = false;
    for line in text.lines() {
        let comment = split_comment(line);
        let body = comment.map_or("", |(_, body)| body);
        let fence = body.trim_start().starts_with("```");
        let breaks = comment.is_none() || in_code || fence || stands_alone(body);
        let starts =
            breaks || starts_item(body) || open.as_ref().is_none_or(|p| !continues(p, line));
        if starts && let Some(paragraph) = open.take() {
            close(&paragraph, &mut fresh);
        }
        match (comment, &mut open) {
            (Some((lead, body)), None) if !breaks => {
                open = Some(Paragraph { lead, hang: hang(body), lines: vec![body] });
            }
            (Some((_, body)), Some(paragraph)) => paragraph.lines.push(body),
            _ => fresh += &format!("{line}\n"),
        }
        in_code ^= fence;
    }
    if let Some(paragraph) = open {
        close(&paragraph, &mut fresh);
    }
    fresh
}

/// A line that is a comment as a whole, as its lead (indent and mark) and what it says.
fn split_comment(line: &str) -> Option<(&str, &str)> {
    let code = line.trim_start();
    let mark = ["//!", "///", "//"].into_iter().find(|mark| code.starts_with(mark))?;
    Some(line.split_at(line.len() - code.len() + mark.len()))
}

/// Whether a comment's line is not part of running text.
fn stands_alone(body: &str) -> bool {
    let body = body.trim();
    body.is_empty() || body.starts_with(['|', '#', '+', '┌', '│', '└']) || body.starts_with("---")
}

/// Whether it begins an item of a list.
fn starts_item(body: &str) -> bool {
    let body = body.trim_start();
    let digits = body.trim_start_matches(|c: char| c.is_ascii_digit());
    body.starts_with("- ")
        || body.starts_with("* ")
        || (digits.len() < body.len() && digits.starts_with(". "))
}

/// The indent that the further lines of a paragraph get.
fn hang(body: &str) -> String {
    let indent = body.len() - body.trim_start().len();
    let more =
        if starts_item(body) { body.trim_start().find(' ').map_or(0, |at| at + 1) } else { 0 };
    " ".repeat(indent + more)
}

/// Whether a line goes on with a paragraph.
fn continues(paragraph: &Paragraph<'_>, line: &str) -> bool {
    split_comment(line).is_some_and(|(lead, body)| {
        let indent = body.len() - body.trim_start().len();
        lead == paragraph.lead && indent == paragraph.hang.len()
    })
}

fn close(paragraph: &Paragraph<'_>, fresh: &mut String) {
    let Paragraph { lead, hang, lines } = paragraph;
    let wide = |line: &&str| (lead.chars().count() + line.chars().count()) > LINE_CHARS_MAX;
    if !lines.iter().any(wide) {
        for line in lines {
            *fresh += &format!("{lead}{line}\n");
        }
        return;
    }
    let first = lines.first().copied().unwrap_or_default();
    let indent = &first[..first.len() - first.trim_start().len()];
    let mut line = format!("{lead}{indent}");
    let mut empty = true;
    for word in lines.iter().flat_map(|line| line.split_whitespace()) {
        if !empty && line.chars().count() + 1 + word.chars().count() > LINE_CHARS_MAX {
            *fresh += &format!("{line}\n");
            line = format!("{lead}{hang}");
            empty = true;
        }
        line += if empty { "" } else { " " };
        line += word;
        empty = false;
    }
    *fresh += &format!("{line}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_paragraph_is_wrapped_and_its_neighbours_are_not() {
        let wide = "word ".repeat(30);
        let text = format!("//! Short,\n//! kept.\n//!\n//! {wide}\n//! end\n\nfn a() {{}}\n");
        let fresh = wrapped(&text);
        assert!(fresh.starts_with("//! Short,\n//! kept.\n//!\n//! word word"), "{fresh}");
        assert!(fresh.ends_with("word end\n\nfn a() {}\n"), "{fresh}");
        assert!(fresh.lines().all(|line| line.len() <= LINE_CHARS_MAX), "{fresh}");
    }

    #[test]
    fn items_hang_and_code_and_tables_stay() {
        let wide = "word ".repeat(30);
        let text = format!("/// - {wide}\n/// ```\n/// {wide}\n/// ```\n/// | {wide}|\n");
        let fresh = wrapped(&text);
        let lines: Vec<&str> = fresh.lines().collect();
        assert!(lines[1].starts_with("///   word"), "{fresh}");
        assert_eq!(lines.len(), 6, "{fresh}");
    }
}
