//! The one place where the harness waits for time to pass: between two looks at a condition.
//!
//! Invariant: whoever calls it looks again afterwards, and gives up at a deadline; nothing is
//! concluded from the wait itself. `cargo xtask tidy` refuses a sleep anywhere else.

use std::time::Duration;

/// Returns after `between_looks`.
///
/// *Cancellation*: dropping the future ends the wait.
pub(crate) async fn pause(between_looks: Duration) {
    tokio::time::sleep(between_looks).await;
}
