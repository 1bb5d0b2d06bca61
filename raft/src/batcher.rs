//! Joins waiting commands into log entries.
//!
//! A batch goes out as soon as fewer than `BATCHES_UNCOMMITTED_MAX` are on their way: at depth one
//! that is at once, under load everything that arrived while the disk and the network were busy
//! travels together. There is no timer and no fixed count.
//!
//! Invariants: an admitted command ends in exactly one of: applied, certainly not accepted (its
//! waiter hears so), outcome unknown. A command is written in the term it is bound to, or not at
//! all. Lease revokes go first, since a full queue must not keep leases alive.
//! Must not know: what commands say, beyond which of them are revokes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::errors::{ClientWriteError, Fatal, ForwardReason};
use openraft::raft::ClientWriteResult;
use parking_lot::Mutex;
use prost::Message as _;
use proto::log::{Batch, Command, command};
use store::Reader;
use tokio::sync::Notify;

use crate::Raft;
use crate::admission::{Admission, Permit};
use crate::errors::ProposeError;
use crate::limits;
use crate::types::{Callback, EncodedBatch, TypeConfig};
use crate::waiters::Waiters;

/// The way into the log. Clones share the queue.
#[derive(Clone)]
pub(crate) struct Batcher {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Rung when a command arrives, a batch commits or the batcher closes.
    bell: Notify,
    closed: AtomicBool,
    admission: Admission,
    waiters: Waiters,
    /// Tells the state-machine version the cluster has agreed on.
    reader: Reader,
}

#[derive(Default)]
struct Queue {
    urgent: VecDeque<Queued>,
    ordinary: VecDeque<Queued>,
    batches_uncommitted: usize,
}

struct Queued {
    command: Command,
    /// The only term in which it may be written.
    term: u64,
    bytes: usize,
    permit: Permit,
}

impl Batcher {
    pub(crate) fn new(admission: Admission, waiters: Waiters, reader: Reader) -> Self {
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                bell: Notify::new(),
                closed: AtomicBool::new(false),
                admission,
                waiters,
                reader,
            }),
        }
    }

    /// Queues a command whose header carries its id, to be written in `term` only.
    ///
    /// *Errors*: nothing was queued: [`ProposeError::TooLarge`], [`ProposeError::TooManyRequests`],
    /// [`ProposeError::Stopped`].
    pub(crate) fn enqueue(&self, command: Command, term: u64) -> Result<(), ProposeError> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(ProposeError::Stopped);
        }
        let urgent = matches!(command.request, Some(command::Request::LeaseRevoke(_)));
        let bytes = command.encoded_len();
        let permit = self.shared.admission.admit(bytes, urgent)?;
        let queued = Queued { command, term, bytes, permit };
        let mut queue = self.shared.queue.lock();
        if urgent {
            queue.urgent.push_back(queued)
        } else {
            queue.ordinary.push_back(queued)
        }
        drop(queue);
        self.shared.bell.notify_one();
        Ok(())
    }

    /// Refuses what is queued and everything later.
    pub(crate) fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        let mut queue = self.shared.queue.lock();
        let left: Vec<Queued> = queue.take_all();
        drop(queue);
        for queued in left {
            self.shared.waiters.fail(id_of(&queued.command), ProposeError::Stopped);
        }
        self.shared.bell.notify_one();
    }

    /// Feeds openraft until the batcher closes. One task runs it.
    pub(crate) async fn run(self, raft: Raft) {
        while !self.shared.closed.load(Ordering::Acquire) {
            let Some(taken) = self.shared.queue.lock().take_batch() else {
                self.shared.bell.notified().await;
                continue;
            };
            if self.submit(&raft, taken).await.is_err() {
                self.close();
            }
        }
    }

    async fn submit(&self, raft: &Raft, taken: Vec<Queued>) -> Result<(), Fatal<TypeConfig>> {
        let mut ids = Vec::with_capacity(taken.len());
        let mut commands = Vec::with_capacity(taken.len());
        let mut permits: Option<Permit> = None;
        // A batch is of one term.
        let term = taken.first().map_or(0, |queued| queued.term);
        for queued in taken {
            ids.push(id_of(&queued.command));
            commands.push(queued.command);
            match &mut permits {
                Some(all) => all.join(queued.permit),
                None => permits = Some(queued.permit),
            }
        }
        let state_machine_version = self.shared.reader.state_machine_version();
        let batch = Batch { state_machine_version, commands };
        let ticket = Ticket { batcher: self.clone(), ids, uncommitted: true, permits };
        let write = raft.write(EncodedBatch::encode(batch)).with_leader(term);
        write.responder(ticket.into_callback()).await
    }
}

impl Queue {
    /// The next batch, if one may go out; it counts as uncommitted from here on.
    fn take_batch(&mut self) -> Option<Vec<Queued>> {
        if self.batches_uncommitted >= limits::BATCHES_UNCOMMITTED_MAX {
            return None;
        }
        let mut taken = Vec::new();
        let mut bytes = 0;
        take_into(&mut taken, &mut bytes, &mut self.urgent, limits::URGENT_COMMANDS_MAX);
        take_into(&mut taken, &mut bytes, &mut self.ordinary, limits::BATCH_COMMANDS_MAX);
        if taken.is_empty() {
            return None;
        }
        self.batches_uncommitted += 1;
        Some(taken)
    }

    fn take_all(&mut self) -> Vec<Queued> {
        self.urgent.drain(..).chain(self.ordinary.drain(..)).collect()
    }
}

fn take_into(
    taken: &mut Vec<Queued>,
    bytes: &mut usize,
    from: &mut VecDeque<Queued>,
    commands_max: usize,
) {
    while taken.len() < commands_max {
        let Some(next) = from.front() else { return };
        let is_full = *bytes + next.bytes > limits::BATCH_BYTES_MAX;
        if taken.first().is_some_and(|first| is_full || first.term != next.term) {
            return;
        }
        *bytes += next.bytes;
        taken.extend(from.pop_front());
    }
}

/// What a batch on its way owes: its place among the uncommitted, its permits, and word to its
/// waiters if it never arrives.
struct Ticket {
    batcher: Batcher,
    ids: Vec<u64>,
    uncommitted: bool,
    permits: Option<Permit>,
}

impl Ticket {
    fn into_callback(self) -> Callback<ClientWriteResult<TypeConfig>> {
        let ticket = Arc::new(Mutex::new(self));
        let at_commit = Arc::clone(&ticket);
        Callback::new(
            move |_| at_commit.lock().committed(),
            move |result| ticket.lock().completed(result),
        )
    }

    fn committed(&mut self) {
        if std::mem::take(&mut self.uncommitted) {
            self.batcher.shared.queue.lock().batches_uncommitted -= 1;
            self.batcher.shared.bell.notify_one();
        }
    }

    fn completed(&mut self, result: Option<ClientWriteResult<TypeConfig>>) {
        self.committed();
        self.permits = None;
        let error = match result {
            Some(Ok(_)) => return,
            Some(Err(ClientWriteError::ForwardToLeader(forward))) => {
                tracing::debug!(reason = ?forward.reason, "batch refused: not leading");
                debug_assert!(matches!(
                    forward.reason,
                    ForwardReason::NotLeader
                        | ForwardReason::LeadershipTransfer
                        | ForwardReason::LeaseExpired
                ));
                ProposeError::NoLeader
            }
            Some(Err(_)) => ProposeError::LeaderChanged,
            None => ProposeError::Stopped,
        };
        for id in &self.ids {
            self.batcher.shared.waiters.fail(*id, error);
        }
    }
}

fn id_of(command: &Command) -> u64 {
    command.header.as_ref().map_or(0, |header| header.id)
}
