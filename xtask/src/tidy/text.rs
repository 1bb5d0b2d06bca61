//! Rules that need only a file's lines: length, width, header, names, what was left over.

use super::{Findings, Rule};

/// Lines of a source file from which a warning is printed.
const FILE_LINES_WARNED: usize = 600;
/// Lines of a source file that are refused above.
const FILE_LINES_MAX: usize = 1000;
/// Characters of a line.
pub(super) const LINE_CHARS_MAX: usize = 100;

/// Characters of a text (an etcd error, say) that is not broken into lines.
const WHOLE_TEXT_CHARS: usize = 50;

/// Words of a file name that say nothing of what is in it.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "helpers", "helper", "manager", "misc"];

/// What marks unfinished work. In two parts, so that this file does not hold them itself.
const MARKERS: &[(&str, &str)] = &[
    ("todo", "!("),
    ("unimplemented", "!("),
    ("dbg", "!("),
    ("FIX", "ME"),
    ("XX", "X"),
    ("HA", "CK"),
    ("TO", "DO"),
    ("allow(dead", "_code"),
    ("allow(unu", "sed"),
];

/// Files whose very name is a word of another's interface.
const NAMED_BY_OTHERS: &[&str] = &["cluster-tools/src/util.rs", "cluster-tools/src/util"];

/// Looks at the lines of a file.
pub(crate) fn check(path: &str, text: &str, findings: &mut Findings) {
    let code = path.ends_with(".rs") || path.ends_with(".go");
    if code {
        length(path, text, findings);
        name(path, findings);
    }
    if path.ends_with(".rs") {
        header(path, text, findings);
        width(path, text, findings);
    }
    if code || path.ends_with(".sh") {
        left_over(path, text, findings);
    }
}

fn length(path: &str, text: &str, findings: &mut Findings) {
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        let message =
            format!("{lines} lines; {FILE_LINES_MAX} is the end: split it by what it does");
        findings.add(Rule::FileLength, path, 0, message);
    } else if lines > FILE_LINES_WARNED {
        findings.warnings.push(format!("{path}: {lines} lines ({FILE_LINES_MAX} is the end)"));
    }
}

fn name(path: &str, findings: &mut Findings) {
    if NAMED_BY_OTHERS.iter().any(|named| path.starts_with(named)) {
        return;
    }
    for part in path.trim_end_matches(".rs").trim_end_matches(".go").split('/') {
        if EMPTY_NAMES.contains(&part) {
            let message =
                format!("`{part}` says nothing of what is in it: name it after its thing");
            findings.add(Rule::Name, path, 0, message);
        }
    }
}

fn header(path: &str, text: &str, findings: &mut Findings) {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|rest| !rest.trim().is_empty());
    if !says {
        let message = "begins without `//!`: what it is, its invariants, what it must not know";
        findings.add(Rule::Header, path, 1, message);
    }
}

fn width(path: &str, text: &str, findings: &mut Findings) {
    for (number, line) in text.lines().enumerate() {
        let chars = line.chars().count();
        if chars > LINE_CHARS_MAX && !has_whole_text(line) {
            let message = format!("{chars} columns, {LINE_CHARS_MAX} fit");
            findings.add(Rule::LineWidth, path, number + 1, message);
        }
    }
}

/// Whether a line holds what must stay in one piece to be searched for: an address, or a long text.
fn has_whole_text(line: &str) -> bool {
    let text_chars = line.split('"').skip(1).step_by(2).map(|text| text.chars().count()).max();
    line.contains("://") || text_chars.is_some_and(|chars| chars >= WHOLE_TEXT_CHARS)
}

fn left_over(path: &str, text: &str, findings: &mut Findings) {
    for (number, line) in text.lines().enumerate() {
        for (head, tail) in MARKERS {
            if holds_word(line, &format!("{head}{tail}")) {
                let message = format!("`{head}{tail}` was left: finish it, or open an issue");
                findings.add(Rule::LeftOver, path, number + 1, message);
            }
        }
    }
}

/// Whether a line holds a marker that is not part of a longer word.
fn holds_word(line: &str, marker: &str) -> bool {
    line.match_indices(marker).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + marker.len()..].chars().next();
        let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let open = marker.ends_with('(') || marker.contains('(');
        !joined(before) && (open || !joined(after))
    })
}
