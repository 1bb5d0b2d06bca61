//! The one place where the simulation lets time pass: virtual time, which moves when everybody
//! waits.
//!
//! Invariant: nothing is concluded from a wait; it only says when the next thing happens.

use std::time::Duration;

use tokio::time::Instant;

/// Lets `span` of virtual time pass.
pub(crate) async fn pass(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Waits for a moment of virtual time.
pub(crate) async fn until(moment: Instant) {
    tokio::time::sleep_until(moment).await;
}
