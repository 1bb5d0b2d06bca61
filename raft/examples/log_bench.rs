//! How fast the Raft log is: entries per second, latency and entries per sync, by how many appends
//! wait.
//!
//! `cargo run --release -p engram-raft --example log_bench -- DIR [SECONDS] [PAYLOAD_BYTES]
//! [WAITING..]`. Numbers of one run compare only with numbers of the same machine and hour; ADR 1
//! has some.
//!
//! Must not know: consensus; it appends opaque entries and waits for their callbacks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant};

use bytes::Bytes;
use engram_raft::log::{
    Log, LogEntry, LogLimits, Owner, Position, RealLogFiles, SyncLatency, on_thread,
};

/// An entry of which only the size matters.
#[derive(Clone)]
struct Opaque {
    index: u64,
    payload: Bytes,
}

impl LogEntry for Opaque {
    fn term(&self) -> u64 {
        1
    }

    fn index(&self) -> u64 {
        self.index
    }

    fn encode(&self) -> Vec<u8> {
        self.payload.to_vec()
    }

    fn bytes(&self) -> usize {
        self.payload.len()
    }

    fn decode(bytes: Bytes) -> Option<Self> {
        Some(Self { index: 0, payload: bytes })
    }
}

/// One run: at most this many appends wait at a time, for this long.
struct Round {
    waiting: usize,
    lasts: Duration,
    payload_bytes: usize,
}

struct Outcome {
    entries: u64,
    took: Duration,
    latencies: Vec<Duration>,
    syncs: u64,
}

type Failure = Box<dyn std::error::Error>;

/// Entries between two purges, so that segments come back.
const PURGE_EVERY: u64 = 50_000;

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let seconds: u64 = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let payload_bytes: usize = arguments.next().map_or(Ok(256), |text| text.parse())?;
    println!("appends waiting | entries/s | p50 us | p99 us | max us | entries/sync");
    let mut rounds = arguments.map(|text| text.parse()).collect::<Result<Vec<usize>, _>>()?;
    if rounds.is_empty() {
        rounds = vec![1, 16, 64, 256, 1024];
    }
    for waiting in rounds {
        let home = directory.join(format!("log-bench-{}-{waiting}", std::process::id()));
        let round = Round { waiting, lasts: Duration::from_secs(seconds), payload_bytes };
        let outcome = run(&home, &round);
        std::fs::remove_dir_all(&home)?;
        show(&round, outcome?);
    }
    Ok(())
}

fn run(directory: &Path, round: &Round) -> Result<Outcome, Failure> {
    let files = Arc::new(RealLogFiles::open(directory)?);
    let owner = Owner { cluster_id: 1, member_id: 1 };
    let (log, driver, _) = Log::<Opaque>::open(files, owner, LogLimits::default())?;
    let latency = Arc::new(SyncLatency::default());
    let thread = on_thread(driver, Arc::clone(&latency))?;
    wait_for_spare(directory)?;
    let (done, finished) = mpsc::sync_channel(round.waiting);
    let started = Instant::now();
    let latencies = append_for(&log, round, &done, &finished)?;
    let took = started.elapsed();
    log.close();
    drop(thread.join());
    let syncs = latency.counts().iter().sum();
    Ok(Outcome { entries: latencies.len() as u64, took, latencies, syncs })
}

/// Waits until the next segment was made, so that only its use is measured.
fn wait_for_spare(directory: &Path) -> Result<(), Failure> {
    let full_bytes = LogLimits::default().segment_bytes;
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let spare = entry.file_name().to_string_lossy().starts_with("spare");
            if spare && entry.metadata()?.len() == full_bytes {
                return Ok(());
            }
        }
        std::thread::yield_now();
    }
    Err("the log made no spare segment".into())
}

/// Keeps `round.waiting` appends under way; returns how long each waited.
fn append_for(
    log: &Log<Opaque>,
    round: &Round,
    done: &SyncSender<std::io::Result<Instant>>,
    finished: &Receiver<std::io::Result<Instant>>,
) -> Result<Vec<Duration>, Failure> {
    let payload = Bytes::from(vec![7; round.payload_bytes]);
    let (mut latencies, mut index, mut waiting) = (Vec::new(), 0, 0);
    let started = Instant::now();
    loop {
        let open = started.elapsed() < round.lasts;
        if !open && waiting == 0 {
            return Ok(latencies);
        }
        if open && waiting < round.waiting {
            let (done, asked) = (done.clone(), Instant::now());
            let entry = Opaque { index, payload: payload.clone() };
            // The channel has room for every append that may wait.
            let tell = Box::new(move |result: std::io::Result<()>| {
                drop(done.send(result.map(|()| asked)));
            });
            log.append([entry], tell)?;
            (index, waiting) = (index + 1, waiting + 1);
            if index % PURGE_EVERY == 0 {
                log.purge(Position { term: 1, index: index - PURGE_EVERY / 2 })?;
            }
            continue;
        }
        latencies.push(finished.recv()??.elapsed());
        waiting -= 1;
    }
}

fn show(round: &Round, mut outcome: Outcome) {
    outcome.latencies.sort_unstable();
    let at = |share: f64| {
        let last = outcome.latencies.len().saturating_sub(1);
        outcome.latencies.get((last as f64 * share) as usize).map_or(0, Duration::as_micros)
    };
    let entries = outcome.entries as f64;
    println!(
        "{:>15} | {:>9.0} | {:>6} | {:>6} | {:>6} | {:>12.1}",
        round.waiting,
        entries / outcome.took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0),
        entries / outcome.syncs.max(1) as f64,
    );
}
