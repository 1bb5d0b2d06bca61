//! The one place where the simulation lets time pass: virtual time, which moves when everybody
//! waits; and the clocks of members, which are made of it.
//!
//! Invariant: nothing is concluded from a wait; it only says when the next thing happens.

use std::sync::Arc;
use std::time::Duration;

use server::clock::{Clock, Moment};
use tokio::time::Instant;

/// Lets `span` of virtual time pass.
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Waits for a moment of virtual time.
pub(crate) async fn until(moment: Instant) {
    tokio::time::sleep_until(moment).await;
}

/// The clock of one process: it begins anywhere, and runs as fast as time unless it is broken.
struct ProcessClock {
    began: Instant,
    origin: Duration,
    /// Seconds it shows for two that pass.
    shown_of_two: u32,
}

impl Clock for ProcessClock {
    fn now(&self) -> Moment {
        Moment(self.origin + self.began.elapsed() * self.shown_of_two / 2)
    }
}

/// A clock that starts now and shows `origin`; one that `runs_fast` shows three seconds for two.
pub(crate) fn of_process(origin: Duration, runs_fast: bool) -> Arc<dyn Clock> {
    let shown_of_two = if runs_fast { 3 } else { 2 };
    Arc::new(ProcessClock { began: Instant::now(), origin, shown_of_two })
}
