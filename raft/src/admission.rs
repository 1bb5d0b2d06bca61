//! Back-pressure: how many commands and bytes are queued, not committed or not applied.
//!
//! Invariant: what was admitted is given back exactly once, whatever becomes of the command.
//! Must not know: what a command says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::errors::ProposeError;
use crate::limits;

/// Counts what this member has admitted and not finished. Clones share the counts.
#[derive(Clone, Default)]
pub(crate) struct Admission {
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    commands: AtomicUsize,
    bytes: AtomicUsize,
}

/// Room for one command, given back when dropped.
pub(crate) struct Permit {
    counts: Arc<Counts>,
    commands: usize,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counts.commands.fetch_sub(self.commands, Ordering::Relaxed);
        self.counts.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Permit {
    /// Joins `other` into this one: a batch holds one permit for all its commands.
    pub(crate) fn join(&mut self, mut other: Permit) {
        self.commands += std::mem::take(&mut other.commands);
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Admission {
    /// Admits a command of `bytes`. Urgent ones (lease revokes) are admitted above the limit, so
    /// that leases end even when clients keep the queue full.
    ///
    /// *Errors*: [`ProposeError::TooLarge`], [`ProposeError::TooManyRequests`].
    pub(crate) fn admit(&self, bytes: usize, urgent: bool) -> Result<Permit, ProposeError> {
        if bytes > limits::COMMAND_BYTES_MAX {
            return Err(ProposeError::TooLarge);
        }
        // Added first and checked afterwards: two callers can then not both take the last place.
        let commands_before = self.counts.commands.fetch_add(1, Ordering::Relaxed);
        let bytes_before = self.counts.bytes.fetch_add(bytes, Ordering::Relaxed);
        let permit = Permit { counts: self.counts.clone(), commands: 1, bytes };
        let full = commands_before >= limits::PENDING_COMMANDS_MAX
            || (bytes_before > 0 && bytes_before + bytes > limits::PENDING_BYTES_MAX);
        if full && !urgent {
            return Err(ProposeError::TooManyRequests);
        }
        Ok(permit)
    }

    /// Commands admitted and not finished.
    pub(crate) fn commands(&self) -> usize {
        self.counts.commands.load(Ordering::Relaxed)
    }

    /// Bytes of commands admitted and not finished.
    pub(crate) fn bytes(&self) -> usize {
        self.counts.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_beyond_the_limit_are_refused_until_others_finish() {
        let admission = Admission::default();
        let mut permits: Vec<Permit> = (0..limits::PENDING_COMMANDS_MAX)
            .map(|_| admission.admit(1, false).expect("below the limit"))
            .collect();
        assert_eq!(admission.admit(1, false).err(), Some(ProposeError::TooManyRequests));
        assert!(admission.admit(1, true).is_ok());
        drop(permits.pop());
        assert!(admission.admit(1, false).is_ok());
        drop(permits);
        assert_eq!((admission.commands(), admission.bytes()), (0, 0));
    }

    #[test]
    fn bytes_beyond_the_limit_are_refused_but_one_command_always_fits() {
        let admission = Admission::default();
        let large = limits::COMMAND_BYTES_MAX;
        let mut permits = Vec::new();
        while let Ok(permit) = admission.admit(large, false) {
            permits.push(permit);
        }
        assert_eq!(permits.len(), limits::PENDING_BYTES_MAX / large);
        assert_eq!(admission.admit(large + 1, false).err(), Some(ProposeError::TooLarge));
    }

    #[test]
    fn joined_permits_are_given_back_once() {
        let admission = Admission::default();
        let mut one = admission.admit(3, false).expect("below the limit");
        one.join(admission.admit(4, false).expect("below the limit"));
        assert_eq!((admission.commands(), admission.bytes()), (2, 7));
        drop(one);
        assert_eq!((admission.commands(), admission.bytes()), (0, 0));
    }
}
