//! The loop every controller runs: take a key, reconcile it, give it back; again after failures.
//!
//! Invariant: a failed key is retried with back-off until it succeeds or its object is gone; a key
//! that is being reconciled at shutdown is finished, none is begun after.

use std::fmt::Display;
use std::future::Future;
use std::hash::Hash;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::Reconciled;
use crate::queue::Queue;

/// Runs `workers` loops over `queue` until `shutdown`, and returns when all are done.
/// `name` is the controller's name in the log.
pub async fn work<T, F, R>(
    name: &'static str,
    workers: usize,
    queue: Queue<T>,
    shutdown: CancellationToken,
    reconcile: F,
) where
    T: Eq + Hash + Ord + Clone + Display + Send + Sync + 'static,
    F: Fn(T) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Reconciled> + Send,
{
    let tasks = TaskTracker::new();
    for _ in 0..workers.max(1) {
        let (queue, shutdown, reconcile) = (queue.clone(), shutdown.clone(), reconcile.clone());
        tasks.spawn(async move {
            loop {
                let key = tokio::select! {
                    biased;
                    () = shutdown.cancelled() => return,
                    key = queue.next() => key,
                };
                let result = reconcile(key.clone()).await;
                settle(name, &queue, key, result);
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

fn settle<T>(name: &'static str, queue: &Queue<T>, key: T, result: Reconciled)
where
    T: Eq + Hash + Ord + Clone + Display,
{
    match result {
        Ok(again) => {
            queue.forget(&key);
            if let Some(delay) = again {
                queue.add_after(key.clone(), delay);
            }
        }
        Err(error) => {
            if error.is_conflict() {
                tracing::debug!(controller = name, %key, %error, "tried again");
            } else {
                tracing::warn!(controller = name, %key, %error, "failed, tried again");
            }
            queue.retry(key.clone());
        }
    }
    queue.done(&key);
}
