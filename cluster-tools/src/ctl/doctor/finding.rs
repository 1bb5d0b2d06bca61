//! What a check found.

use super::super::show::{Doc, Object};

/// How bad it is; the order is that of badness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Well,
    Warning,
    Bad,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Warning => "warning",
            Self::Bad => "bad",
        }
    }

    /// The exit code of a doctor whose worst finding this is.
    pub(super) fn exit_code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::Warning => 1,
            Self::Bad => 2,
        }
    }
}

/// Verdict, evidence and the next command.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) verdict: Verdict,
    pub(super) evidence: String,
    pub(super) next: Option<String>,
}

impl Finding {
    pub(super) fn well(check: &'static str, evidence: String) -> Self {
        Self { check, verdict: Verdict::Well, evidence, next: None }
    }

    pub(super) fn warning(check: &'static str, evidence: String) -> Self {
        Self { verdict: Verdict::Warning, ..Self::well(check, evidence) }
    }

    pub(super) fn bad(check: &'static str, evidence: String) -> Self {
        Self { verdict: Verdict::Bad, ..Self::well(check, evidence) }
    }

    #[must_use]
    pub(super) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Of several members: the worst, with what is said of each that is not well.
    pub(super) fn worst(check: &'static str, parts: Vec<Finding>, well: String) -> Self {
        let verdict = parts.iter().map(|part| part.verdict).max().unwrap_or(Verdict::Well);
        let bad: Vec<_> = parts.iter().filter(|part| part.verdict != Verdict::Well).collect();
        if bad.is_empty() {
            return Self::well(check, well);
        }
        let evidence: Vec<_> = bad.iter().map(|part| part.evidence.as_str()).collect();
        let next =
            bad.iter().filter(|part| part.verdict == verdict).find_map(|part| part.next.clone());
        Self { check, verdict, evidence: evidence.join("; "), next }
    }

    pub(super) fn document(&self) -> Doc {
        Object::new()
            .with("check", self.check)
            .with("verdict", self.verdict.word())
            .with("evidence", &self.evidence)
            .some("next", self.next.clone())
            .into()
    }
}
