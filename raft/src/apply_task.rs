//! Where applying happens: on a thread of its own, or in place.
//!
//! The thread keeps index and engine work away from the runtime that beats hearts, and compacts
//! while there is nothing to apply. In simulation there is no thread: the caller does the work.
//!
//! Invariants: jobs run one at a time, in the order they were given; after a compaction that failed
//! there is none but the answer why.
//! Must not know: what a job changes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use parking_lot::Mutex;
use store::engine::Engine;
use store::{AppliedState, LogId, StorageError};
use tokio::sync::oneshot;

use crate::apply::{Applier, ToApply};

/// The way to the one who applies. Clones share it.
#[derive(Clone)]
pub(crate) enum ApplyTask {
    /// A thread of its own, and whether compacting failed there.
    Thread(mpsc::Sender<Job>, Arc<AtomicBool>),
    /// The caller.
    Inline(Arc<Mutex<Applier>>),
}

pub(crate) enum Job {
    Apply(Vec<ToApply>, oneshot::Sender<Result<(), StorageError>>),
    Install(Arc<dyn Engine>, oneshot::Sender<Result<AppliedState, StorageError>>),
    State(oneshot::Sender<AppliedState>),
    Durable(oneshot::Sender<Result<Option<LogId>, StorageError>>),
    Stop(oneshot::Sender<()>),
}

impl ApplyTask {
    /// Starts the thread.
    pub(crate) fn spawn(applier: Applier) -> io::Result<Self> {
        let (sender, jobs) = mpsc::channel();
        let failed = Arc::new(AtomicBool::new(false));
        let of_thread = Arc::clone(&failed);
        std::thread::Builder::new()
            .name("engram-apply".to_owned())
            .spawn(move || run(applier, &jobs, &of_thread))?;
        Ok(Self::Thread(sender, failed))
    }

    /// Works in place.
    pub(crate) fn inline(applier: Applier) -> Self {
        Self::Inline(Arc::new(Mutex::new(applier)))
    }

    /// Applies entries in order.
    pub(crate) async fn apply(&self, entries: Vec<ToApply>) -> io::Result<()> {
        match self {
            Self::Thread(jobs, _) => ask(jobs, |done| Job::Apply(entries, done)).await?,
            Self::Inline(applier) => applier.lock().apply(entries),
        }
        .map_err(fatal)
    }

    /// Replaces the whole state.
    pub(crate) async fn install(&self, engine: Arc<dyn Engine>) -> io::Result<AppliedState> {
        match self {
            Self::Thread(jobs, _) => ask(jobs, |done| Job::Install(engine, done)).await?,
            Self::Inline(applier) => applier.lock().install(engine),
        }
        .map_err(fatal)
    }

    /// Position, membership and digest of the state.
    pub(crate) async fn state(&self) -> io::Result<AppliedState> {
        match self {
            Self::Thread(jobs, _) => ask(jobs, Job::State).await,
            Self::Inline(applier) => Ok(applier.lock().state()),
        }
    }

    /// The newest position a crash would leave.
    pub(crate) async fn durable(&self) -> io::Result<Option<LogId>> {
        match self {
            Self::Thread(jobs, _) => ask(jobs, Job::Durable).await?,
            Self::Inline(applier) => applier.lock().durable(),
        }
        .map_err(fatal)
    }

    /// A step of compaction for the one without a thread; the thread is only asked how it went.
    ///
    /// *Errors*: compacting failed; the next job is told why.
    pub(crate) fn compact_step(&self) -> io::Result<()> {
        match self {
            Self::Thread(_, failed) if failed.load(Ordering::Acquire) => {
                Err(io::Error::other("compacting failed"))
            }
            Self::Thread(..) => Ok(()),
            Self::Inline(applier) => applier.lock().compact_step().map(|_more| ()).map_err(fatal),
        }
    }

    /// Ends the thread after the jobs before; the store is closed on return.
    pub(crate) async fn stop(&self) {
        if let Self::Thread(jobs, _) = self {
            drop(ask(jobs, Job::Stop).await);
        }
    }
}

async fn ask<T>(
    jobs: &mpsc::Sender<Job>,
    job: impl FnOnce(oneshot::Sender<T>) -> Job,
) -> io::Result<T> {
    let (done, wait) = oneshot::channel();
    jobs.send(job(done)).map_err(|_| gone())?;
    wait.await.map_err(|_| gone())
}

fn gone() -> io::Error {
    io::Error::other("the apply thread has ended")
}

fn fatal(error: StorageError) -> io::Error {
    tracing::error!(%error, "applying failed: the member stops");
    io::Error::other(error)
}

fn run(mut applier: Applier, jobs: &mpsc::Receiver<Job>, failed: &AtomicBool) {
    let mut more_to_compact = true;
    loop {
        let job = match jobs.try_recv() {
            Ok(job) => job,
            Err(mpsc::TryRecvError::Disconnected) => return,
            Err(mpsc::TryRecvError::Empty) if more_to_compact => {
                match applier.compact_step() {
                    Ok(more) => more_to_compact = more,
                    Err(error) => {
                        tracing::error!(%error, "compacting failed: the member stops");
                        failed.store(true, Ordering::Release);
                        return refuse_next(jobs, error);
                    }
                }
                continue;
            }
            Err(mpsc::TryRecvError::Empty) => match jobs.recv() {
                Ok(job) => job,
                Err(mpsc::RecvError) => return,
            },
        };
        match job {
            Job::Apply(entries, done) => {
                let since = Instant::now();
                let applied = applier.apply(entries);
                applier.took(since.elapsed());
                drop(done.send(applied));
                more_to_compact = true;
            }
            Job::Install(engine, done) => {
                drop(done.send(applier.install(engine)));
                more_to_compact = true;
            }
            Job::State(done) => drop(done.send(applier.state())),
            Job::Durable(done) => drop(done.send(applier.durable())),
            Job::Stop(done) => {
                drop(applier);
                let _nobody_waits = done.send(());
                return;
            }
        }
    }
}

/// Hands the error to the next who asks, and through it to openraft, which stops the member; who
/// comes later finds the thread gone.
fn refuse_next(jobs: &mpsc::Receiver<Job>, error: StorageError) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Apply(_, done) => drop(done.send(Err(error))),
            Job::Install(_, done) => drop(done.send(Err(error))),
            Job::Durable(done) => drop(done.send(Err(error))),
            // Has no error to give; whoever asks on hears it.
            Job::State(_) => continue,
            Job::Stop(done) => drop(done.send(())),
        }
        return;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_next_who_asks_hears_why_compacting_failed() {
        let (sender, jobs) = mpsc::channel();
        let failed = Arc::new(AtomicBool::new(false));
        let task = ApplyTask::Thread(sender, Arc::clone(&failed));
        task.compact_step().expect("nothing has failed");
        failed.store(true, Ordering::Release);
        task.compact_step().expect_err("whoever looks after the member hears of it");
        std::thread::spawn(move || refuse_next(&jobs, StorageError::Injected("in a table")));
        task.state().await.expect_err("there is no state to tell of");
        let told = task.durable().await.expect_err("the reason").to_string();
        assert_eq!(told, "injected fault: in a table");
        task.durable().await.expect_err("told once; then there is nobody");
    }
}
