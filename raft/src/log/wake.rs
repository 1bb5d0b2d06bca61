//! Wakes whoever drives the log: a thread, or a task.
//!
//! Must not know: what there is to do.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// A flag that can be waited for by a thread and by a task. A notification before the wait is not
/// lost.
#[derive(Debug, Default)]
pub(crate) struct Wake {
    raised: Mutex<bool>,
    condition: Condvar,
    notify: tokio::sync::Notify,
}

impl Wake {
    /// Raises the flag.
    pub(crate) fn notify(&self) {
        let mut raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        if !*raised {
            *raised = true;
            self.condition.notify_one();
            self.notify.notify_one();
        }
    }

    /// Blocks the thread until the flag is raised, at most `patience`; true if it was. Lowers it.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> bool {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner);
        let mut raised = match patience {
            None => self
                .condition
                .wait_while(raised, |raised| !*raised)
                .unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.condition
                    .wait_timeout_while(raised, patience, |raised| !*raised)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        std::mem::take(&mut *raised)
    }

    /// Waits until the flag is raised. Lowers it.
    pub(crate) async fn raised(&self) {
        while !std::mem::take(&mut *self.raised.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.notify.notified().await;
        }
    }
}
