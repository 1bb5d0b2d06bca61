//! The closed loop: connections, workers, a warm-up, a measured window.
//!
//! Must not know: what a worker asks for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::transport::Channel;

use super::workload::Worker;
use super::{Load, Report, Workload, cpu};
use crate::ToolError;

/// Latencies beyond a minute are counted as a minute.
const LATENCY_NS_MAX: u64 = 60_000_000_000;

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// One worker's share of the figures.
struct Tally {
    operations: u64,
    errors: u64,
    first_error: Option<String>,
    latencies: Histogram<u64>,
}

/// Runs the workload to the end of its window; `fill` runs until every key is written.
pub(crate) async fn run(load: &Load, workload: Workload) -> Result<Report, ToolError> {
    let channels = open(load).await?;
    let phase = Arc::new(AtomicU8::new(WARMING));
    let mut workers = JoinSet::new();
    for number in 0..load.clients {
        let channel = channels[number % channels.len()].clone();
        let worker = Worker::new(channel, load, workload, number);
        workers.spawn(drive(worker, Arc::clone(&phase), workload == Workload::Fill));
    }
    if workload != Workload::Fill {
        tokio::time::sleep(load.warmup()).await;
    }
    let (server_before, client_before) = (cpu::used(&load.server_pids), cpu::used_here());
    let started = Instant::now();
    phase.store(MEASURING, Ordering::Release);
    if workload != Workload::Fill {
        tokio::time::sleep(load.window()).await;
        phase.store(OVER, Ordering::Release);
    }
    let mut elapsed = started.elapsed();
    let (mut server, mut client) = used_since(load, server_before, client_before);
    let mut total = Tally::new();
    while let Some(tally) = workers.join_next().await {
        total.add(tally.map_err(|error| ToolError::Unhealthy(format!("a client ended: {error}")))?);
    }
    if workload == Workload::Fill {
        elapsed = started.elapsed();
        (server, client) = used_since(load, server_before, client_before);
    }
    Ok(total.report(load, workload, elapsed, server, client))
}

fn used_since(load: &Load, server: Duration, client: Duration) -> (Duration, Duration) {
    (cpu::used(&load.server_pids).saturating_sub(server), cpu::used_here().saturating_sub(client))
}

async fn open(load: &Load) -> Result<Vec<Channel>, ToolError> {
    let mut channels = Vec::with_capacity(load.connections);
    for number in 0..load.connections {
        let endpoint = &load.endpoints[number % load.endpoints.len()];
        channels.push(crate::connect(std::slice::from_ref(endpoint)).await?);
    }
    Ok(channels)
}

/// Steps until the window is over; only operations that began inside it count.
async fn drive(mut worker: Worker, phase: Arc<AtomicU8>, to_the_end: bool) -> Tally {
    let mut tally = Tally::new();
    while phase.load(Ordering::Acquire) != OVER && !worker.done() {
        let counted = to_the_end || phase.load(Ordering::Acquire) == MEASURING;
        let started = Instant::now();
        let outcome = worker.step().await;
        let inside = to_the_end || phase.load(Ordering::Acquire) == MEASURING;
        let failed = outcome.is_err();
        if counted && inside {
            tally.count(outcome, started.elapsed());
        }
        if failed {
            // A refused request costs the server little and the client nothing: without a pause the
            // loop would measure its own spinning.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if to_the_end && tally.errors > 100 {
            break;
        }
    }
    tally
}

impl Tally {
    fn new() -> Self {
        let latencies = Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3)
            .expect("the bounds are in order and three digits are allowed");
        Self { operations: 0, errors: 0, first_error: None, latencies }
    }

    fn count(&mut self, outcome: Result<u64, tonic::Status>, took: Duration) {
        match outcome {
            Ok(operations) => {
                self.operations += operations;
                let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(LATENCY_NS_MAX);
                self.latencies.saturating_record(nanoseconds);
            }
            Err(status) => {
                self.errors += 1;
                self.first_error.get_or_insert_with(|| status.to_string());
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        self.latencies.add(&other.latencies).expect("both have the same bounds");
    }

    fn report(
        &self,
        load: &Load,
        workload: Workload,
        elapsed: Duration,
        server: Duration,
        client: Duration,
    ) -> Report {
        let per_operation =
            |used: Duration| used.as_secs_f64() * 1e6 / self.operations.max(1) as f64;
        let seconds = elapsed.as_secs_f64();
        let mut report = Report {
            workload: format!("{workload:?}").to_lowercase(),
            clients: load.clients,
            connections: load.connections,
            seconds,
            operations: self.operations,
            errors: self.errors,
            first_error: self.first_error.clone(),
            operations_per_second: self.operations as f64 / seconds.max(f64::MIN_POSITIVE),
            p50_us: 0,
            p99_us: 0,
            max_us: 0,
            server_cpu_us_per_operation: per_operation(server),
            client_cpu_us_per_operation: per_operation(client),
        };
        report.set_latencies(&self.latencies);
        report
    }
}
