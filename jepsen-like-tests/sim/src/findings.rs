//! What was found wrong in a run.
//!
//! Invariant: a finding is never taken back; the first one rings the bell that ends the run.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Findings kept; what follows the first is mostly its consequence.
const KEPT_MAX: usize = 20;

/// The findings of a run. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Findings {
    found: Arc<Mutex<Vec<String>>>,
    bell: Arc<Notify>,
}

impl Findings {
    /// Adds one.
    pub(crate) fn add(&self, what: fmt::Arguments<'_>) {
        let mut found = self.found.lock();
        if found.len() < KEPT_MAX {
            found.push(what.to_string());
        }
        drop(found);
        self.bell.notify_one();
    }

    /// Whether there is one.
    pub(crate) fn is_any(&self) -> bool {
        !self.found.lock().is_empty()
    }

    /// Ends when there is one.
    pub(crate) async fn any(&self) {
        while !self.is_any() {
            self.bell.notified().await;
        }
    }

    /// All of them, in order.
    pub(crate) fn all(&self) -> Vec<String> {
        self.found.lock().clone()
    }
}
