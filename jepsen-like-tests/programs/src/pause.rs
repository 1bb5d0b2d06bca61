//! The one place where suites wait for time to pass: between two looks at a condition, and before
//! a client tries a member again that did not answer.
//!
//! Invariant: whoever calls it looks or tries again afterwards, until a deadline or the end of the
//! round; nothing is concluded from the wait itself. `cargo xtask tidy` refuses a sleep anywhere
//! else.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Time between two looks at a condition.
pub const POLL: Duration = Duration::from_millis(50);

/// Returns after `between_looks`.
///
/// *Cancellation*: dropping the future ends the wait.
pub async fn pause(between_looks: Duration) {
    tokio::time::sleep(between_looks).await;
}

/// Looks until the condition gives a value.
///
/// *Errors*: says what was waited for, and what the last look saw, once the deadline has passed.
pub async fn until<T>(
    what: &str,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        let seen = match look().await {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if Instant::now() > deadline {
            bail!("{what}: not within {} s; last seen: {seen}", patience.as_secs());
        }
        pause(POLL).await;
    }
}
