//! Bugs planted on purpose: a simulation that cannot find them proves nothing.
//!
//! Each sits in a part the simulation owns, so that the system under test is never altered.

use std::fmt;
use std::str::FromStr;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// Log files say they synced and did not.
    LostSync,
    /// One member's link alters a value in an entry on its way.
    AlteredEntry,
    /// One member's engine loses a row of a batch now and then.
    LostRow,
    /// Clients read without asking whether their member is up to date.
    StaleRead,
    /// One member does not tell its watchers the last event of a batch now and then.
    LostEvent,
    /// The clocks of members run too fast: leases end early.
    FastClock,
    /// The network answers renewals out of its memory.
    RememberedRenewal,
}

impl Canary {
    /// Every one.
    pub const ALL: [Canary; 7] = [
        Canary::LostSync,
        Canary::AlteredEntry,
        Canary::LostRow,
        Canary::StaleRead,
        Canary::LostEvent,
        Canary::FastClock,
        Canary::RememberedRenewal,
    ];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Canary::LostSync => "lost-sync",
            Canary::AlteredEntry => "altered-entry",
            Canary::LostRow => "lost-row",
            Canary::StaleRead => "stale-read",
            Canary::LostEvent => "lost-event",
            Canary::FastClock => "fast-clock",
            Canary::RememberedRenewal => "remembered-renewal",
        }
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Canary {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|canary| canary.name() == name);
        let known = Self::ALL.map(Canary::name).join(", ");
        found.ok_or_else(|| format!("no canary is called {name:?}; there are {known}"))
    }
}
