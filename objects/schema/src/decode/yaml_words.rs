//! What is wrong with a text that is no YAML, in the words of go-yaml as far as the two parsers see
//! the same fault.
//!
//! Compat: go-yaml counts lines from zero, adds one for faults of its scanner and none for those of
//! its parser, and names no line zero.

use granit_parser::{ErrorKind, ScanError};

/// The text of an error, without its `yaml: `.
pub(super) fn of(error: &ScanError, text: &str) -> String {
    let line = error.marker().line();
    let lines = text.lines().count();
    match error.kind() {
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::InvalidMappingValueWhitespace => {
            scanner(line, "mapping values are not allowed in this context")
        }
        ErrorKind::MappingKeyNotAllowed => {
            scanner(line, "mapping keys are not allowed in this context")
        }
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => {
            scanner(line, "block sequence entries are not allowed in this context")
        }
        ErrorKind::UnexpectedCharacter { .. }
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation => {
            scanner(line, "found character that cannot start any token")
        }
        ErrorKind::UnclosedQuotedScalar => scanner(lines, "found unexpected end of stream"),
        ErrorKind::UnknownQuotedScalarEscape => scanner(line, "found unknown escape character"),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            scanner(line, "could not find expected ':'")
        }
        ErrorKind::MissingAnchorOrAliasName => {
            scanner(line, "did not find expected alphabetic or numeric character")
        }
        ErrorKind::ExpectedNodeContent => parser(line, "did not find expected node content"),
        ErrorKind::ExpectedBlockMappingKey => parser(line, "did not find expected key"),
        ErrorKind::ExpectedBlockSequenceEntry => {
            parser(line, "did not find expected '-' indicator")
        }
        ErrorKind::ExpectedFlowMappingSeparator => {
            parser(line, "did not find expected ',' or '}'")
        }
        ErrorKind::ExpectedFlowSequenceSeparator => {
            parser(line, "did not find expected ',' or ']'")
        }
        ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::UnclosedFlowCollection { .. } => unclosed(lines, text),
        ErrorKind::ExpectedDocumentStart => {
            parser(line, "did not find expected <document start>")
        }
        ErrorKind::UndeclaredTagHandle => parser(line, "found undefined tag handle"),
        ErrorKind::RecursionLimitExceeded => scanner(line, "exceeded max depth of 10000"),
        other => scanner(line, &other.to_string()),
    }
}

/// The words for a document that is nested too deep.
pub(super) fn too_deep(line: usize, depth_max: usize) -> String {
    scanner(line, &format!("exceeded max depth of {depth_max}"))
}

fn scanner(line: usize, problem: &str) -> String {
    if line > 1 { format!("line {line}: {problem}") } else { problem.to_owned() }
}

fn parser(line: usize, problem: &str) -> String {
    scanner(line.saturating_sub(1), problem)
}

/// A collection that the text ends in: after a value something is missing, else a value is.
fn unclosed(lines: usize, text: &str) -> String {
    let end = text.trim_end();
    let innermost = innermost_open(end);
    let problem = match (end.ends_with(['[', '{', ',', ':']), innermost) {
        (true, _) => "did not find expected node content",
        (false, '{') => "did not find expected ',' or '}'",
        (false, _) => "did not find expected ',' or ']'",
    };
    format!("line {lines}: {problem}")
}

/// The last bracket that is not closed again. Quotes are not looked at: the words may be those of
/// the other bracket then.
fn innermost_open(text: &str) -> char {
    let mut closed = 0;
    for c in text.chars().rev() {
        match c {
            ']' | '}' => closed += 1,
            '[' | '{' if closed == 0 => return c,
            '[' | '{' => closed -= 1,
            _ => {}
        }
    }
    '['
}
