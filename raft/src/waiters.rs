//! Who waits for which command: the table between proposers and the apply task.
//!
//! A command is answered where it was proposed: its member finds the request id in the batch it
//! applies, and only then has the answer's rows built. The leader that took a forwarded command in
//! merely learns the position.
//!
//! Invariant: an id is answered at most once, and forgotten when its waiter goes away.
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

enum Waiter {
    Here(oneshot::Sender<Answer>),
    Forwarded(oneshot::Sender<Receipt>),
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

type Table = HashMap<u64, Waiter, BuildHasherDefault<IdHasher>>;

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
        self.waiters.table.lock().remove(&self.id);
    }
}

impl Waiters {
    /// Waits for the answer to a command proposed on this member.
    pub(crate) fn wait_here(&self, id: u64) -> Waiting<Answer> {
        let (sender, receiver) = oneshot::channel();
        self.table.lock().insert(id, Waiter::Here(sender));
        Waiting { id, waiters: self.clone(), receiver }
    }

    /// Waits until a command that a peer forwarded is applied.
    pub(crate) fn wait_forwarded(&self, id: u64) -> Waiting<Receipt> {
        let (sender, receiver) = oneshot::channel();
        self.table.lock().insert(id, Waiter::Forwarded(sender));
        Waiting { id, waiters: self.clone(), receiver }
    }

    /// Tells whoever waits for `id` that there will be no answer.
    pub(crate) fn fail(&self, id: u64, error: ProposeError) {
        let waiter = self.table.lock().remove(&id);
        match waiter {
            Some(Waiter::Here(sender)) => drop(sender.send(Err(error))),
            Some(Waiter::Forwarded(sender)) => drop(sender.send(Err(error))),
            None => {}
        }
    }

    /// Takes out everyone who waits for a command of `batch`.
    pub(crate) fn claim(&self, batch: &Batch) -> Claims {
        let mut claims = Claims::default();
        let mut table = self.table.lock();
        if table.is_empty() {
            return claims;
        }
        for (position, command) in batch.commands.iter().enumerate() {
            let id = command.header.as_ref().map_or(0, |header| header.id);
            match table.remove(&id) {
                Some(Waiter::Here(sender)) => claims.here.push((position, sender)),
                Some(Waiter::Forwarded(sender)) => claims.forwarded.push(sender),
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
        drop(waiters.wait_here(7));
        assert!(!waiters.claim(&batch(&[7])).wants_answers());
    }

    #[test]
    fn a_failed_wait_hears_why_and_only_once() {
        let waiters = Waiters::default();
        let mut waiting = waiters.wait_here(7);
        waiters.fail(7, ProposeError::NoLeader);
        waiters.fail(7, ProposeError::TimedOut);
        assert!(matches!(waiting.receiver.try_recv(), Ok(Err(ProposeError::NoLeader))));
    }

    #[test]
    fn a_forwarded_command_needs_no_rows_and_learns_its_position() {
        let waiters = Waiters::default();
        let mut waiting = waiters.wait_forwarded(9);
        let claims = waiters.claim(&batch(&[8, 9]));
        assert!(!claims.wants_answers());
        claims.answer(LogId { term: 1, index: 5 }, Vec::new());
        assert_eq!(waiting.receiver.try_recv(), Ok(Ok(LogId { term: 1, index: 5 })));
    }
}
