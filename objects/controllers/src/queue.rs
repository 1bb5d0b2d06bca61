//! The work queue: which keys are to be looked at, each at most once at a time.
//!
//! Invariants: a key that is waiting is not added twice; a key that is being worked on is not
//! handed to a second worker, but is waiting again after its worker is done if it was added
//! meanwhile. A delayed key becomes an ordinary one when its time has come.
//!
//! A paced queue lets a key rest for a moment before it is worked on again because of what came in
//! meanwhile: a burst of events about one key becomes a few looks at it, and the first look is not
//! delayed.
//!
//! Must not know: what the keys mean.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The delay after the first failure; it doubles with each.
const RETRY_MIN: Duration = Duration::from_millis(5);
/// The longest delay after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// A queue of keys. Cheap to clone; all clones are the same queue.
#[derive(Debug)]
pub struct Queue<T> {
    inner: Arc<Inner<T>>,
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

#[derive(Debug)]
struct Inner<T> {
    state: Mutex<State<T>>,
    changed: Notify,
    /// How long a key rests; zero for a queue that is not paced.
    pace: Duration,
}

#[derive(Debug)]
struct State<T> {
    ready: VecDeque<T>,
    /// Keys in `ready`, and keys being worked on that were added again.
    dirty: HashSet<T>,
    working: HashSet<T>,
    delayed: BTreeSet<(Instant, T)>,
    /// Keys that were added again while worked on and rest now; they stay in `dirty`.
    resting: BTreeSet<(Instant, T)>,
    failures: HashMap<T, u32>,
}

impl<T: Eq + Hash + Ord + Clone> Default for Queue<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Eq + Hash + Ord + Clone> Queue<T> {
    /// An empty queue.
    pub fn new() -> Self {
        Self::paced(Duration::ZERO)
    }

    /// An empty queue whose keys rest for `pace` where they would follow upon themselves.
    pub fn paced(pace: Duration) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            working: HashSet::new(),
            delayed: BTreeSet::new(),
            resting: BTreeSet::new(),
            failures: HashMap::new(),
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed: Notify::new(), pace }) }
    }

    /// Asks for the key to be looked at.
    pub fn add(&self, key: T) {
        if self.inner.state.lock().add(key) {
            self.inner.changed.notify_one();
        }
    }

    /// Asks for the key to be looked at after `delay`. Several delays of one key all count.
    pub fn add_after(&self, key: T, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        self.inner.state.lock().delayed.insert((Instant::now() + delay, key));
        // A waiting worker must learn of an earlier time than the one it sleeps until.
        self.inner.changed.notify_one();
    }

    /// Asks for the key to be looked at again after a failure, each time later than the last.
    pub fn retry(&self, key: T) {
        let delay = {
            let mut state = self.inner.state.lock();
            let failures = state.failures.entry(key.clone()).or_default();
            let delay = retry_delay(*failures);
            *failures += 1;
            delay
        };
        self.add_after(key, delay);
    }

    /// The key's work succeeded: its next failure is its first again.
    pub fn forget(&self, key: &T) {
        self.inner.state.lock().failures.remove(key);
    }

    /// How often the key failed in a row.
    pub fn failures(&self, key: &T) -> u32 {
        self.inner.state.lock().failures.get(key).copied().unwrap_or_default()
    }

    /// Waits for a key to work on. Every key taken must be given back by [`Queue::done`].
    /// Cancellation safe: a dropped wait takes nothing.
    pub async fn next(&self) -> T {
        loop {
            let until = {
                let mut state = self.inner.state.lock();
                state.ripen(Instant::now());
                if let Some(key) = state.take() {
                    if !state.ready.is_empty() || state.next_time().is_some() {
                        self.inner.changed.notify_one();
                    }
                    return key;
                }
                state.next_time()
            };
            match until {
                Some(at) => tokio::select! {
                    () = self.inner.changed.notified() => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => self.inner.changed.notified().await,
            }
        }
    }

    /// The key taken by [`Queue::next`] is no longer being worked on.
    pub fn done(&self, key: &T) {
        let mut state = self.inner.state.lock();
        state.working.remove(key);
        if !state.dirty.contains(key) {
            return;
        }
        if self.inner.pace.is_zero() {
            state.ready.push_back(key.clone());
        } else {
            state.resting.insert((Instant::now() + self.inner.pace, key.clone()));
        }
        drop(state);
        self.inner.changed.notify_one();
    }

    /// How many keys are waiting, without the delayed ones.
    pub fn waiting(&self) -> usize {
        self.inner.state.lock().ready.len()
    }
}

impl<T: Eq + Hash + Ord + Clone> State<T> {
    /// Whether a worker has something new to take.
    fn add(&mut self, key: T) -> bool {
        if !self.dirty.insert(key.clone()) || self.working.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    fn ripen(&mut self, now: Instant) {
        while let Some((at, _)) = self.delayed.first()
            && *at <= now
            && let Some((_, key)) = self.delayed.pop_first()
        {
            self.add(key);
        }
        while let Some((at, _)) = self.resting.first()
            && *at <= now
            && let Some((_, key)) = self.resting.pop_first()
        {
            self.ready.push_back(key);
        }
    }

    /// When the next delayed or resting key is ready.
    fn next_time(&self) -> Option<Instant> {
        let first = |keys: &BTreeSet<(Instant, T)>| keys.first().map(|(at, _)| *at);
        [first(&self.delayed), first(&self.resting)].into_iter().flatten().min()
    }

    fn take(&mut self) -> Option<T> {
        let key = self.ready.pop_front()?;
        self.dirty.remove(&key);
        self.working.insert(key.clone());
        Some(key)
    }
}

fn retry_delay(failures: u32) -> Duration {
    RETRY_MIN.saturating_mul(1 << failures.min(20)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_added_twice_is_worked_on_once() {
        let queue = Queue::new();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.next().await, "a");
        assert_eq!(queue.next().await, "b");
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_added_while_worked_on_waits_for_its_worker() {
        let queue = Queue::new();
        queue.add("a");
        assert_eq!(queue.next().await, "a");
        queue.add("a");
        let other = tokio::time::timeout(Duration::from_secs(9), queue.next()).await;
        assert!(other.is_err(), "two workers on one key");
        queue.done(&"a");
        assert_eq!(queue.next().await, "a");
    }

    #[tokio::test(start_paused = true)]
    async fn failures_wait_longer_each_time_until_forgotten() {
        let queue = Queue::new();
        let mut waits = Vec::new();
        for _ in 0..4 {
            let start = Instant::now();
            queue.retry("a");
            let key = queue.next().await;
            queue.done(&key);
            waits.push(start.elapsed().as_millis());
        }
        assert!(waits.windows(2).all(|w| w[1] >= w[0] * 2 - 2), "{waits:?}");
        queue.forget(&"a");
        assert_eq!(queue.failures(&"a"), 0);
        assert_eq!(retry_delay(99), RETRY_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paced_key_rests_before_it_follows_upon_itself() {
        let pace = Duration::from_millis(20);
        let queue = Queue::paced(pace);
        let start = Instant::now();
        queue.add("a");
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed(), Duration::ZERO, "the first look is not delayed");
        queue.add("a");
        queue.done(&"a");
        queue.add("a");
        assert_eq!(queue.next().await, "a");
        assert_eq!(start.elapsed(), pace);
        queue.done(&"a");
        let more = tokio::time::timeout(Duration::from_secs(9), queue.next()).await;
        assert!(more.is_err(), "one look for all that came in");
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_delay_wakes_a_worker_that_sleeps_for_a_later_one() {
        let queue = Queue::new();
        queue.add_after("late", Duration::from_secs(100));
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.next().await }
        });
        tokio::task::yield_now().await;
        queue.add_after("early", Duration::from_secs(1));
        assert_eq!(waiting.await.expect("the task ends"), "early");
    }
}
