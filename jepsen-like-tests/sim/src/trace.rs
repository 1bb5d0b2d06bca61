//! What happened in a run, in order: a hash of every line, and the lines when they are wanted.
//!
//! Invariant: a line holds nothing that differs between two runs of one seed, so that a difference
//! is a hole in the determinism.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The trace of a run. Clones share it.
#[derive(Clone)]
pub struct Trace {
    inner: Arc<Mutex<Inner>>,
    keep: bool,
}

struct Inner {
    began: Option<Instant>,
    hash: u64,
    count: u64,
    line: String,
    kept: Vec<String>,
}

impl Trace {
    /// An empty trace; with `keep`, the lines can be read afterwards.
    pub(crate) fn new(keep: bool) -> Self {
        let inner = Inner { began: None, hash: 0, count: 0, line: String::new(), kept: Vec::new() };
        Self { inner: Arc::new(Mutex::new(inner)), keep }
    }

    /// Adds a line, with the virtual time before it.
    pub(crate) fn note(&self, what: fmt::Arguments<'_>) {
        let mut inner = self.inner.lock();
        let now = Instant::now();
        let at = now - *inner.began.get_or_insert(now);
        let mut line = std::mem::take(&mut inner.line);
        line.clear();
        let written = write!(line, "{:>9.3} {what}", at.as_secs_f64());
        written.expect("a String takes everything");
        inner.hash = fnv(inner.hash, line.as_bytes());
        inner.count += 1;
        if self.keep {
            inner.kept.push(line.clone());
        }
        inner.line = line;
    }

    /// The hash of all lines so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.inner.lock().hash
    }

    /// How many lines there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.lock().count
    }

    /// The lines; empty unless they were to be kept.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.inner.lock().kept.clone()
    }
}

/// FNV-1a over `bytes`, begun from another hash.
pub(crate) fn fnv(from: u64, bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ from;
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
