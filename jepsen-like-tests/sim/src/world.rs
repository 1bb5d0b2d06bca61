//! What all parts of a run share: its seed, its trace, its findings, and the one history.
//!
//! Must not know: members, links.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::canary::Canary;
use crate::findings::Findings;
use crate::lease_book::LeaseBook;
use crate::ledger::Ledger;
use crate::random::Dice;
use crate::trace::Trace;

/// See the module's page.
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) canary: Option<Canary>,
    pub(crate) trace: Trace,
    pub(crate) findings: Findings,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) leases: Mutex<LeaseBook>,
    moments: AtomicU64,
}

impl World {
    pub(crate) fn new(seed: u64, canary: Option<Canary>, trace: Trace) -> Self {
        Self {
            seed,
            canary,
            trace,
            findings: Findings::default(),
            ledger: Mutex::default(),
            leases: Mutex::default(),
            moments: AtomicU64::new(0),
        }
    }

    /// A stream of numbers for the part of this name.
    pub(crate) fn dice(&self, name: &str) -> Dice {
        Dice::new(self.seed, name)
    }

    /// Whether this bug is planted.
    pub(crate) fn plants(&self, canary: Canary) -> bool {
        self.canary == Some(canary)
    }

    /// The number of this moment. Virtual time stands still while much happens; moments do not.
    pub(crate) fn moment(&self) -> u64 {
        self.moments.fetch_add(1, Ordering::Relaxed)
    }

    /// Adds a line to the trace.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        self.trace.note(what);
    }

    /// Adds a finding, also to the trace.
    pub(crate) fn found(&self, what: fmt::Arguments<'_>) {
        self.trace.note(format_args!("FOUND {what}"));
        self.findings.add(what);
    }

    /// Adds a finding if there is one.
    pub(crate) fn check(&self, who: impl fmt::Display, outcome: Result<(), String>) {
        if let Err(what) = outcome {
            self.found(format_args!("{who}: {what}"));
        }
    }
}
