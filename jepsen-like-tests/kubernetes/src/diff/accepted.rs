//! The differences that are accepted, each with its reason: the one table of them.
//!
//! Invariant: `docs/compatibility/kubernetes.md` shows this table; a test compares the two.

/// A difference that stands.
#[derive(Debug)]
pub struct Accepted {
    /// Method and resource, with `*`.
    pub asked: &'static str,
    /// Where in the answer, with `*`.
    pub place: &'static str,
    /// `real | ours` as the report shows them, with `*`; any where there is none.
    pub values: Option<&'static str>,
    /// Why it stands.
    pub reason: &'static str,
}

/// All of them.
pub const ACCEPTED: &[Accepted] = &[Accepted {
    asked: "GET version",
    place: "body.*",
    values: None,
    reason: "who built it, from what and with which compiler; major and minor are the same",
}];
