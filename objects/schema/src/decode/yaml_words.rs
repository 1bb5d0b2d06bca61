//! What is wrong with a text that is no YAML, in the words of go-yaml as far as the two parsers see
//! the same fault.
//!
//! Compat: go-yaml counts lines from zero, adds one for faults of its scanner and none for those of
//! its parser, and names no line zero.

use granit_parser::{ErrorKind, ScanError};

/// The text of an error, without its `yaml: `.
pub(super) fn of(error: &ScanError, text: &str) -> String {
    let line = error.marker().line();
    let last_line = text.matches('\n').count() + 1;
    let problem = match error.kind() {
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent => {
            return scanner(last_line, "found unexpected end of stream");
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            return scanner(line + 1, "could not find expected ':'");
        }
        ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::UnclosedFlowCollection { .. } => {
            let open = innermost_open(text);
            return format!("line {}: {}", text.lines().count(), in_flow(text, open));
        }
        kind => kind,
    };
    let before = before(error, text);
    match of_parser(problem, before) {
        Some(words) => parser(line, words),
        None => scanner(line, &of_scanner(problem)),
    }
}

/// The text up to where an error was found.
fn before<'a>(error: &ScanError, text: &'a str) -> &'a str {
    error.marker().byte_offset().and_then(|at| text.get(..at)).unwrap_or(text)
}

/// The words for faults that go-yaml's parser finds.
fn of_parser(kind: &ErrorKind, before: &str) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::ExpectedNodeContent
        | ErrorKind::UnexpectedEofBlockMapping
        | ErrorKind::BlockEntryInFlowCollection => "did not find expected node content",
        ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::InvalidTrailingSingleQuotedScalar
        | ErrorKind::InvalidTrailingDoubleQuotedScalar => "did not find expected key",
        ErrorKind::ExpectedBlockSequenceEntry => "did not find expected '-' indicator",
        ErrorKind::ExpectedFlowMappingSeparator => "did not find expected ',' or '}'",
        ErrorKind::ExpectedFlowSequenceSeparator => "did not find expected ',' or ']'",
        ErrorKind::MisplacedFlowCollectionEnd if needs_value(before) => {
            "did not find expected node content"
        }
        ErrorKind::MisplacedFlowCollectionEnd => "did not find expected key",
        ErrorKind::MismatchedFlowCollectionEnd { open, .. } => in_flow(before, *open),
        ErrorKind::ExpectedDocumentStart => "did not find expected <document start>",
        ErrorKind::UndeclaredTagHandle => "found undefined tag handle",
        _ => return None,
    })
}

/// The words for faults that go-yaml's scanner finds; other faults in the words of ours.
fn of_scanner(kind: &ErrorKind) -> String {
    let words = match kind {
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidColonPlacement
        | ErrorKind::InvalidMappingValueWhitespace => {
            "mapping values are not allowed in this context"
        }
        ErrorKind::MappingKeyNotAllowed => "mapping keys are not allowed in this context",
        ErrorKind::BlockSequenceEntryNotAllowed => {
            "block sequence entries are not allowed in this context"
        }
        ErrorKind::UnexpectedCharacter { .. }
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation => "found character that cannot start any token",
        ErrorKind::UnknownQuotedScalarEscape => "found unknown escape character",
        ErrorKind::MissingAnchorOrAliasName => {
            "did not find expected alphabetic or numeric character"
        }
        ErrorKind::MissingTagUri => "did not find expected tag URI",
        ErrorKind::UnsupportedYamlMajorVersion => "found incompatible YAML document",
        ErrorKind::RecursionLimitExceeded => "exceeded max depth",
        other => return other.to_string(),
    };
    words.to_owned()
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

/// What is missing in a flow collection: a value where one was begun, else the separator.
fn in_flow(before: &str, open: char) -> &'static str {
    match (needs_value(before), open) {
        (true, _) => "did not find expected node content",
        (false, '{') => "did not find expected ',' or '}'",
        (false, _) => "did not find expected ',' or ']'",
    }
}

fn needs_value(before: &str) -> bool {
    before.trim_end().is_empty() || before.trim_end().ends_with(['[', '{', ',', ':'])
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
