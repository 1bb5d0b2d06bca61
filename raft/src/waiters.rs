//! Who waits for which command: the table between proposers and the apply task.
//!
//! A command is answered where it was proposed: its member finds the request id in the batch it
//! applies, and only then has the answer's rows built. The leader that took a forwarded command in
//! merely learns the position.
//!
//! A command is bound to the term it was handed over in: no entry of another term carries it. Terms
//! never fall along the log, so that once an entry of a later term is applied, a command that was
//! not met never will be, and may be proposed again.
//!
//! Invariants: an id is answered at most once, and forgotten when its waiter goes away; nobody
//! hears that a command was passed over while entries were applied that this member did not see.
//! Must not know: openraft, how a command reached the log.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use proto::log::Batch;
use store::{LogId, Outcome};
use tokio::sync::oneshot;

use crate::errors::ProposeError;

/// The answer to a command proposed on this member.
pub(crate) type Answer = Result<Outcome, ProposeError>;

/// The word on a command that a peer forwarded to this member: where it was applied.
pub(crate) type Receipt = Result<LogId, ProposeError>;

struct Waiter {
    /// The term of the only entries that may carry the command; `None` once entries of it may have
    /// been applied unseen.
    term: Option<u64>,
    teller: Teller,
}

enum Teller {
    Here(oneshot::Sender<Answer>),
    Forwarded(oneshot::Sender<Receipt>),
}

impl Teller {
    /// There will be no answer.
    fn fail(self, error: ProposeError) {
        match self {
            Self::Here(sender) => drop(sender.send(Err(error))),
            Self::Forwarded(sender) => drop(sender.send(Err(error))),
        }
    }
}

/// Request ids are unique already; hashing them again buys nothing.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        // The map takes the top bits for its tags: spread the counter over all of them.
        self.0 = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[derive(Default)]
struct Table {
    waiters: HashMap<u64, Waiter, BuildHasherDefault<IdHasher>>,
    /// The term of the newest applied entry.
    applied_term: u64,
}

/// The table. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Waiters {
    table: Arc<Mutex<Table>>,
}

/// A registered wait; dropping it forgets the id.
pub(crate) struct Waiting<T> {
    id: u64,
    waiters: Waiters,
    pub(crate) receiver: oneshot::Receiver<T>,
}

impl<T> Drop for Waiting<T> {
    fn drop(&mut self) {
        self.waiters.table.lock().waiters.remove(&self.id);
    }
}

impl Waiters {
    /// Waits for the answer to a command proposed on this member, to be written in `term` only.
    pub(crate) fn wait_here(&self, id: u64, term: u64) -> Waiting<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.wait(id, term, Teller::Here(sender));
        Waiting { id, waiters: self.clone(), receiver }
    }

    /// Waits until a command that a peer forwarded, to be written in `term` only, is applied.
    pub(crate) fn wait_forwarded(&self, id: u64, term: u64) -> Waiting<Receipt> {
        let (sender, receiver) = oneshot::channel();
        self.wait(id, term, Teller::Forwarded(sender));
        Waiting { id, waiters: self.clone(), receiver }
    }

    fn wait(&self, id: u64, term: u64, teller: Teller) {
        let mut table = self.table.lock();
        if term < table.applied_term {
            drop(table);
            return teller.fail(ProposeError::NoLeader);
        }
        table.waiters.insert(id, Waiter { term: Some(term), teller });
    }

    /// Tells whoever waits for `id` that there will be no answer.
    pub(crate) fn fail(&self, id: u64, error: ProposeError) {
        let waiter = self.table.lock().waiters.remove(&id);
        if let Some(waiter) = waiter {
            waiter.teller.fail(error);
        }
    }

    /// An entry of `term` is applied next: whoever waits for a command bound to an earlier one
    /// hears that it was certainly not accepted.
    pub(crate) fn begins(&self, term: u64) {
        let mut table = self.table.lock();
        table.applied_term = term;
        let overruled = |_: &u64, waiter: &mut Waiter| waiter.term.is_some_and(|at| at < term);
        let passed_over: Vec<_> = table.waiters.extract_if(overruled).collect();
        drop(table);
        for (_, waiter) in passed_over {
            waiter.teller.fail(ProposeError::NoLeader);
        }
    }

    /// The whole state was replaced by one whose newest entry is of `term`: what it holds of the
    /// commands that are waited for cannot be told.
    pub(crate) fn replaced(&self, term: u64) {
        let mut table = self.table.lock();
        table.applied_term = term;
        for waiter in table.waiters.values_mut() {
            waiter.term = None;
        }
    }

    /// Takes out everyone who waits for a command of `batch`.
    pub(crate) fn claim(&self, batch: &Batch) -> Claims {
        let mut claims = Claims::default();
        let mut table = self.table.lock();
        if table.waiters.is_empty() {
            return claims;
        }
        for (position, command) in batch.commands.iter().enumerate() {
            let id = command.header.as_ref().map_or(0, |header| header.id);
            match table.waiters.remove(&id).map(|waiter| waiter.teller) {
                Some(Teller::Here(sender)) => claims.here.push((position, sender)),
                Some(Teller::Forwarded(sender)) => claims.forwarded.push(sender),
                None => {}
            }
        }
        claims
    }
}

/// Those who wait for commands of one batch.
#[derive(Default)]
pub(crate) struct Claims {
    here: Vec<(usize, oneshot::Sender<Answer>)>,
    forwarded: Vec<oneshot::Sender<Receipt>>,
}

impl Claims {
    /// Whether answers with rows must be built.
    pub(crate) fn wants_answers(&self) -> bool {
        !self.here.is_empty()
    }

    /// Answers everyone. `outcomes` has one entry for each command of the batch.
    pub(crate) fn answer(self, log_id: LogId, outcomes: Vec<Outcome>) {
        for sender in self.forwarded {
            let _gave_up = sender.send(Ok(log_id));
        }
        if self.here.is_empty() {
            return;
        }
        let mut wanted = self.here.into_iter().peekable();
        for (position, outcome) in outcomes.into_iter().enumerate() {
            if let Some((_, sender)) = wanted.next_if(|(wanted, _)| *wanted == position) {
                drop(sender.send(Ok(outcome)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::log::{Command, CommandHeader};

    use super::*;

    fn batch(ids: &[u64]) -> Batch {
        let command = |id: &u64| Command {
            header: Some(CommandHeader { id: *id, ..Default::default() }),
            ..Default::default()
        };
        Batch { commands: ids.iter().map(command).collect(), ..Default::default() }
    }

    #[test]
    fn a_dropped_wait_is_forgotten() {
        let waiters = Waiters::default();
        drop(waiters.wait_here(7, 1));
        assert!(!waiters.claim(&batch(&[7])).wants_answers());
    }

    #[test]
    fn a_failed_wait_hears_why_and_only_once() {
        let waiters = Waiters::default();
        let mut waiting = waiters.wait_here(7, 1);
        waiters.fail(7, ProposeError::NoLeader);
        waiters.fail(7, ProposeError::TimedOut);
        assert!(matches!(waiting.receiver.try_recv(), Ok(Err(ProposeError::NoLeader))));
    }

    #[test]
    fn a_forwarded_command_needs_no_rows_and_learns_its_position() {
        let waiters = Waiters::default();
        let mut waiting = waiters.wait_forwarded(9, 1);
        let claims = waiters.claim(&batch(&[8, 9]));
        assert!(!claims.wants_answers());
        claims.answer(LogId { term: 1, index: 5 }, Vec::new());
        assert_eq!(waiting.receiver.try_recv(), Ok(Ok(LogId { term: 1, index: 5 })));
    }

    #[test]
    fn a_command_is_passed_over_when_a_later_term_begins_and_not_before() {
        let waiters = Waiters::default();
        let mut waiting = waiters.wait_here(7, 2);
        waiters.begins(2);
        assert!(waiting.receiver.try_recv().is_err(), "its own term has entries to come");
        waiters.begins(3);
        assert!(matches!(waiting.receiver.try_recv(), Ok(Err(ProposeError::NoLeader))));
        let mut late = waiters.wait_forwarded(8, 2);
        assert_eq!(late.receiver.try_recv(), Ok(Err(ProposeError::NoLeader)));
        let mut next = waiters.wait_here(9, 3);
        assert!(next.receiver.try_recv().is_err());
    }

    #[test]
    fn nobody_hears_what_became_of_a_command_that_a_new_state_may_hold() {
        let waiters = Waiters::default();
        let mut waiting = waiters.wait_here(7, 2);
        waiters.replaced(2);
        waiters.begins(3);
        assert!(waiting.receiver.try_recv().is_err());
        assert!(waiters.claim(&batch(&[7])).wants_answers(), "it may still be met");
    }
}
