//! The answers of one client stream, pulled by the client's own task.
//!
//! Invariants: what is pulled is handed out before anything else is pulled, so that the order of
//! the queue and of history reads is the order of the answers. Queue and history take turns, so
//! that neither starves the other. A client that does not pull costs its bounded queue and nothing
//! else.
//!
//! It must not know gRPC: the server fills ids and term into the headers.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use proto::spliced::{EncodedEvents, WatchResponse};
use store::{ReadError, Revision};

use crate::batch::Batch;
use crate::fragment::fragments;
use crate::hub::Shared;
use crate::response;
use crate::stream::{Step, Stream};

/// What an answer may hold besides its events: header, id and flags. *Units*: bytes.
const ENVELOPE_BYTES_MAX: usize = 64;

/// Gives the answers of a stream. Dropping it closes the stream.
pub struct WatchOutput {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) ready: VecDeque<WatchResponse>,
    history_first: bool,
    failure: Option<ReadError>,
}

impl WatchOutput {
    pub(crate) fn new(shared: Arc<Shared>, stream: Arc<Stream>) -> Self {
        Self { shared, stream, ready: VecDeque::new(), history_first: false, failure: None }
    }

    /// The next answer; waits for one. `None` when history could not be read: see
    /// [`WatchOutput::failure`].
    ///
    /// *Blocking*: reads history in this task, at most one bounded read between two yields.
    /// *Cancellation*: dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<WatchResponse> {
        loop {
            if let Some(answer) = self.ready.pop_front() {
                return Some(answer);
            }
            if self.failure.is_some() {
                return None;
            }
            let step = self.stream.state.lock().step(self.history_first);
            self.history_first = !matches!(step, Step::CatchUp);
            match step {
                Step::Answer(answer) => return Some(answer),
                Step::Deliver(targets, batch) => self.deliver(&targets, &batch),
                Step::CatchUp => {
                    self.catch_up().unwrap_or_else(|error| self.failure = Some(error));
                    if self.ready.is_empty() {
                        yield_once().await;
                    }
                }
                Step::Nothing => self.stream.wake.notified().await,
            }
        }
    }

    /// Why [`WatchOutput::next`] ended: this member's storage failed, another one may serve.
    pub fn failure(&self) -> Option<&ReadError> {
        self.failure.as_ref()
    }

    fn deliver(&mut self, targets: &[(i64, bool)], batch: &Batch) {
        match batch.encoded(&*self.shared.history) {
            Ok(events) => {
                for (id, fragment) in targets {
                    self.emit(*id, *fragment, batch.last, &events);
                }
                self.shared.counters.events_total.add(batch.events * targets.len());
            }
            Err(error) => self.failure = Some(error),
        }
    }

    /// Makes the answer, or its fragments, that give these events to a watcher.
    pub(crate) fn emit(
        &mut self,
        id: i64,
        fragment: bool,
        revision: Revision,
        events: &EncodedEvents,
    ) {
        if !fragment {
            self.ready.push_back(response::events(id, revision, false, events.clone()));
            return;
        }
        let bytes_max = self.shared.limits.fragment_bytes_max.saturating_sub(ENVELOPE_BYTES_MAX);
        let pieces = fragments(events, bytes_max);
        let last = pieces.len() - 1;
        for (place, piece) in pieces.into_iter().enumerate() {
            self.ready.push_back(response::events(id, revision, place < last, piece));
        }
    }
}

impl Drop for WatchOutput {
    fn drop(&mut self) {
        self.shared.close(&self.stream);
    }
}

/// Lets other tasks run, whatever the runtime is.
async fn yield_once() {
    let mut yielded = false;
    poll_fn(|context| match yielded {
        true => Poll::Ready(()),
        false => {
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}
