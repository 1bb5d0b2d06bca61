//! What `/metrics` tells: requests, how long they took, and what is under way.
//!
//! Invariants: names and labels are kube-apiserver's; the number of series is bounded by what is
//! served (resources, verbs, codes), never by what clients invent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Upper bounds of the duration buckets, in seconds.
const BUCKETS_SECONDS: [f64; 10] = [0.005, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 20.0, 60.0];

/// What a request was about, as labels. Empty texts are allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Labels {
    pub(crate) verb: &'static str,
    pub(crate) group: &'static str,
    pub(crate) version: &'static str,
    pub(crate) resource: &'static str,
    pub(crate) subresource: &'static str,
    pub(crate) scope: &'static str,
}

#[derive(Debug, Default)]
struct Durations {
    buckets: [u64; BUCKETS_SECONDS.len()],
    count: u64,
    sum: Duration,
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Metrics {
    began: Instant,
    requests: Mutex<BTreeMap<(Labels, u16), u64>>,
    durations: Mutex<BTreeMap<&'static str, Durations>>,
    pub(crate) reading: AtomicI64,
    pub(crate) mutating: AtomicI64,
    watching: Arc<AtomicI64>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Metrics {
            began: Instant::now(),
            requests: Mutex::default(),
            durations: Mutex::default(),
            reading: AtomicI64::new(0),
            mutating: AtomicI64::new(0),
            watching: Arc::default(),
        }
    }

    /// Notes a request that was answered. The time of a watch is that until its head.
    pub(crate) fn answered(&self, labels: Labels, code: u16, took: Duration) {
        let verb = labels.verb;
        *self.requests.lock().entry((labels, code)).or_default() += 1;
        let mut durations = self.durations.lock();
        let durations = durations.entry(verb).or_default();
        durations.count += 1;
        durations.sum += took;
        for (bucket, bound) in durations.buckets.iter_mut().zip(BUCKETS_SECONDS) {
            *bucket += u64::from(took.as_secs_f64() <= bound);
        }
    }

    /// Notes a watch until what is returned is dropped.
    pub(crate) fn watch_begins(&self) -> WatchCounted {
        self.watching.fetch_add(1, Ordering::Relaxed);
        WatchCounted(Arc::clone(&self.watching))
    }

    /// The page, in Prometheus' text format.
    pub(crate) fn page(&self) -> String {
        let mut page = String::new();
        self.write(&mut page).expect("a string takes everything");
        page
    }

    fn write(&self, page: &mut String) -> std::fmt::Result {
        head(page, "apiserver_request_total", "counter", "Requests answered.")?;
        for ((labels, code), count) in self.requests.lock().iter() {
            let Labels { verb, group, version, resource, subresource, scope } = labels;
            writeln!(
                page,
                "apiserver_request_total{{code=\"{code}\",component=\"apiserver\",dry_run=\"\",\
                 group=\"{group}\",resource=\"{resource}\",scope=\"{scope}\",\
                 subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\"}} {count}"
            )?;
        }
        let name = "apiserver_request_duration_seconds";
        head(page, name, "histogram", "Time until the answer's head was ready.")?;
        for (verb, durations) in self.durations.lock().iter() {
            for (bucket, bound) in durations.buckets.iter().zip(BUCKETS_SECONDS) {
                writeln!(page, "{name}_bucket{{verb=\"{verb}\",le=\"{bound}\"}} {bucket}")?;
            }
            let Durations { count, sum, .. } = durations;
            writeln!(page, "{name}_bucket{{verb=\"{verb}\",le=\"+Inf\"}} {count}")?;
            writeln!(page, "{name}_sum{{verb=\"{verb}\"}} {}", sum.as_secs_f64())?;
            writeln!(page, "{name}_count{{verb=\"{verb}\"}} {count}")?;
        }
        let name = "apiserver_current_inflight_requests";
        head(page, name, "gauge", "Requests under way.")?;
        let now = |gauge: &AtomicI64| gauge.load(Ordering::Relaxed);
        writeln!(page, "{name}{{request_kind=\"readOnly\"}} {}", now(&self.reading))?;
        writeln!(page, "{name}{{request_kind=\"mutating\"}} {}", now(&self.mutating))?;
        let name = "apiserver_longrunning_requests";
        head(page, name, "gauge", "Watches under way.")?;
        writeln!(page, "{name}{{verb=\"WATCH\"}} {}", now(&self.watching))?;
        let name = "engram_apiserver_up_seconds";
        head(page, name, "gauge", "Time since the start.")?;
        writeln!(page, "{name} {}", self.began.elapsed().as_secs())
    }
}

fn head(page: &mut String, name: &str, sort: &str, help: &str) -> std::fmt::Result {
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {sort}")
}

/// A watch that is under way.
pub(crate) struct WatchCounted(Arc<AtomicI64>);

impl Drop for WatchCounted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A gauge that is one higher as long as this lives.
pub(crate) struct Counted<'a>(&'a AtomicI64);

impl<'a> Counted<'a> {
    pub(crate) fn new(gauge: &'a AtomicI64) -> Self {
        gauge.fetch_add(1, Ordering::Relaxed);
        Counted(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
