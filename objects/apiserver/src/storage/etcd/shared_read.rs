//! One read for many callers that ask at the same time.
//!
//! Invariant: a caller gets the answer of a read that began after the call did: it never joins one
//! under way, but the next one, or a linearizable read would not be one.
//!
//! Must not know: what is read.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use parking_lot::Mutex;

use crate::storage::{Revision, StorageError};

type Read = Shared<BoxFuture<'static, Result<Revision, StorageError>>>;

/// Joins callers. The read that waits begins when the one under way has ended.
#[derive(Default)]
pub(super) struct SharedRead {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// The last read that was begun, or waits to begin; the flag tells which.
    last: Option<(Read, Arc<Began>)>,
}

#[derive(Default)]
struct Began(std::sync::atomic::AtomicBool);

impl SharedRead {
    /// The answer of a read that begins from now on.
    pub(super) async fn read(
        &self,
        read: impl Future<Output = Result<Revision, StorageError>> + Send + 'static,
    ) -> Result<Revision, StorageError> {
        self.join(read).await
    }

    fn join(
        &self,
        read: impl Future<Output = Result<Revision, StorageError>> + Send + 'static,
    ) -> Read {
        use std::sync::atomic::Ordering::SeqCst;
        let mut state = self.state.lock();
        let before = match &state.last {
            Some((waiting, began)) if !began.0.load(SeqCst) => return waiting.clone(),
            Some((running, _)) => Some(running.clone()),
            None => None,
        };
        let began = Arc::new(Began::default());
        let mark = Arc::clone(&began);
        let lock = Arc::clone(&self.state);
        let next = async move {
            if let Some(before) = before {
                drop(before.await);
            }
            {
                // Under the lock: nobody may join between this mark and the read's beginning.
                let _joined = lock.lock();
                mark.0.store(true, SeqCst);
            }
            read.await
        };
        let next = next.boxed().shared();
        state.last = Some((next.clone(), began));
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn callers_that_come_during_a_read_share_the_next_one() {
        let shared = SharedRead::default();
        let reads = Arc::new(AtomicU64::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let call = || {
            let (reads, gate) = (Arc::clone(&reads), Arc::clone(&gate));
            tokio::spawn(shared.join(async move {
                let number = reads.fetch_add(1, Ordering::SeqCst) + 1;
                gate.acquire().await.expect("open").forget();
                Ok(Revision(number))
            }))
        };
        let first = call();
        while reads.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let later: Vec<_> = (0..10).map(|_| call()).collect();
        gate.add_permits(10);
        assert_eq!(first.await.expect("no panic"), Ok(Revision(1)));
        for call in later {
            assert_eq!(call.await.expect("no panic"), Ok(Revision(2)));
        }
        assert_eq!(reads.load(Ordering::SeqCst), 2);
    }
}
