//! The page `docs/compatibility/etcd.md`: every RPC and field, HTTP page, path of the gateway and
//! series of etcd 3.7, how far it is here, and what shows it.
//!
//! The rows stand beside what they describe: RPCs in `rpc::methods`, pages in `http::tables`,
//! series in `metrics::table`. Fields come out of the descriptors, and `fields` holds those that
//! need a word of their own.
//!
//! Invariants: each field of each message that an RPC takes or gives is on the page. A proof is
//! `suite NAME`, of the harness, or `folder/file::test`; `cargo xtask tidy` refuses a page that
//! names one that is not there.
//!
//! Must not know: how anything is served.

mod fields;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::config::{FLAGS, Treatment};
use crate::rpc::methods::METHODS;

/// How something of etcd's is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// As in etcd.
    Same,
    /// As in etcd and more, or without a fault of etcd's.
    Better,
    /// It works, but for what the note says.
    Partly,
    /// Accepted without effect.
    Ignored,
    /// Refused with a reason.
    Refused,
    /// Not there.
    Missing,
}

impl State {
    const ALL: [State; 6] =
        [State::Same, State::Better, State::Partly, State::Ignored, State::Refused, State::Missing];

    /// Its word on the page.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            State::Same => "same",
            State::Better => "better",
            State::Partly => "partly",
            State::Ignored => "ignored",
            State::Refused => "refused",
            State::Missing => "missing",
        }
    }
}

/// How far something is, and what shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    pub(crate) state: State,
    /// What differs; empty when nothing does.
    pub(crate) note: &'static str,
    /// Suites and tests, the strongest first.
    pub(crate) proofs: &'static [&'static str],
}

/// As in etcd.
pub(crate) const fn same(proofs: &'static [&'static str]) -> Standing {
    Standing { state: State::Same, note: "", proofs }
}

/// As in etcd, with a word of explanation.
pub(crate) const fn noted(note: &'static str, proofs: &'static [&'static str]) -> Standing {
    Standing { state: State::Same, note, proofs }
}

/// Better than in etcd, in what the note says.
pub(crate) const fn better(note: &'static str, proofs: &'static [&'static str]) -> Standing {
    Standing { state: State::Better, note, proofs }
}

/// Works but for what the note says.
pub(crate) const fn partly(note: &'static str, proofs: &'static [&'static str]) -> Standing {
    Standing { state: State::Partly, note, proofs }
}

/// Not there, for the reason given.
pub(crate) const fn missing(note: &'static str, proofs: &'static [&'static str]) -> Standing {
    Standing { state: State::Missing, note, proofs }
}

impl Standing {
    /// The last three cells of a row.
    pub(crate) fn cells(&self) -> String {
        format!("{} | {} | {} |", self.state.word(), self.note, proofs(self.proofs))
    }
}

/// The cell of what shows something.
fn proofs(all: &[&str]) -> String {
    all.iter().map(|proof| format!("`{proof}`")).collect::<Vec<_>>().join(", ")
}

/// How many of a kind are in each state.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<State, usize>);

impl Counts {
    pub(crate) fn add(&mut self, state: State) {
        *self.0.entry(state).or_default() += 1;
    }

    fn row(&self, name: &str) -> String {
        let counts = State::ALL.iter().map(|state| match self.0.get(state) {
            Some(count) => format!(" {count} |"),
            None => " – |".to_owned(),
        });
        format!("| {name} |{}\n", counts.collect::<String>())
    }
}

const HEAD: &str = "# etcd 3.7 in Engram

Every RPC with every field of its messages, every HTTP page, path of the JSON gateway and series of
metrics: how it is here, and what shows it. Flags have [a page of their own](flags.md); what is
better, other on purpose or missing is told in a list by [the differences](differences.md). This
page is generated (`cargo xtask generate`) from the tables beside the code and from the service
descriptors, so that no field can be forgotten; tests compare them.

- **same**: as in etcd. **better**: as in etcd, and what the note says. **partly**: but for what
  the note says. **ignored**, **refused**, **missing**: what the words say.
- *Shown by*: `suite NAME` is a suite of `jepsen-like-tests/harness` (`engram-harness NAME`):
  `diff`, `auth`, `gateway`, `bad-input` and `etcdctl` hold the same conversation with the real etcd
  3.7.3 and compare the answers whole. `folder/file::test` is a test of `cargo test`. `cargo xtask
  tidy` refuses a name that is not there. *as X* is what shows the RPC X.

";

/// The page.
#[must_use]
pub fn etcd_page() -> String {
    let (body, [requests, answers]) = messages::services();
    let mut rpcs = Counts::default();
    METHODS.iter().for_each(|method| rpcs.add(method.standing.state));
    let (pages, paths) = crate::http::counts();
    let mut flags = Counts::default();
    for flag in FLAGS {
        flags.add(match flag.treatment {
            Treatment::Honoured(_) => State::Same,
            Treatment::Ignored(_) => State::Ignored,
            Treatment::Refused(_) => State::Refused,
        });
    }
    let mut page = HEAD.to_owned();
    let states = State::ALL.map(State::word).join(" | ");
    page.push_str(&format!("| how many | {states} |\n|---|---|---|---|---|---|---|\n"));
    for (name, counts) in [
        ("RPCs", rpcs),
        ("fields of requests", requests),
        ("fields of answers", answers),
        ("HTTP pages", pages),
        ("paths of the JSON gateway", paths),
        ("series of metrics, some in groups", crate::metrics::counts()),
        ("[flags](flags.md)", flags),
    ] {
        page.push_str(&counts.row(name));
    }
    page.push_str(&body);
    page.push_str(&crate::http::tables());
    page.push_str(&crate::metrics::tables());
    page
}
