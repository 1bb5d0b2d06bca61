//! The one place where the harness waits for time to pass: between two looks at a condition, and
//! before a client of the crash rounds tries a member again that did not answer.
//!
//! Invariant: whoever calls it looks or tries again afterwards, until a deadline or the end of the
//! round; nothing is concluded from the wait itself. `cargo xtask tidy` refuses a sleep anywhere
//! else.

use std::time::Duration;

/// Returns after `between_looks`.
///
/// *Cancellation*: dropping the future ends the wait.
pub(crate) async fn pause(between_looks: Duration) {
    tokio::time::sleep(between_looks).await;
}
