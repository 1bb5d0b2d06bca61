//! The clock seam: the only place of the doors that asks for the time.
//! Invariant: moments never go back; they are meaningless outside the process.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Time since a fixed start of the process. *Units*: a duration since an unspoken origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// The moment `after` later.
    pub(crate) fn plus(self, after: Duration) -> Self {
        Moment(self.0.saturating_add(after))
    }

    /// How long until `later`; zero when it has passed.
    pub(crate) fn until(self, later: Moment) -> Duration {
        later.0.saturating_sub(self.0)
    }
}

/// A monotonic clock.
pub trait Clock: Send + Sync {
    /// The time now; never earlier than a moment given before.
    fn now(&self) -> Moment;
}

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that starts now.
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(SystemClock(Instant::now()))
    }
}

/// The date, for what is told to others or outlives the process: tokens, certificates. Nothing that
/// members must agree on follows from it.
pub(crate) fn date() -> SystemTime {
    SystemTime::now()
}

/// The date as the time since 1970; zero before.
pub(crate) fn since_1970() -> Duration {
    date().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment(self.0.elapsed())
    }
}
