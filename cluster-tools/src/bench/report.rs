//! What a run measured.
//!
//! Must not know: how it was measured.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::ToolError;

/// One run's figures. Latencies are of successful operations, in microseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The workload's name.
    pub workload: String,
    /// Requests in flight at a time.
    pub clients: usize,
    /// TCP connections.
    pub connections: usize,
    /// Length of the measured window in seconds.
    pub seconds: f64,
    /// Operations that succeeded in the window.
    pub operations: u64,
    /// Operations that failed in the window.
    pub errors: u64,
    /// The first failure's text.
    pub first_error: Option<String>,
    /// `operations / seconds`.
    pub operations_per_second: f64,
    /// Half were faster.
    pub p50_us: u64,
    /// 99 of 100 were faster.
    pub p99_us: u64,
    /// The slowest.
    pub max_us: u64,
    /// CPU time of the servers per operation in microseconds; 0 when no process was named.
    pub server_cpu_us_per_operation: f64,
    /// CPU time of this client per operation in microseconds.
    pub client_cpu_us_per_operation: f64,
}

impl Report {
    /// Takes the percentiles from the latencies, which are in nanoseconds.
    pub(crate) fn set_latencies(&mut self, latencies: &Histogram<u64>) {
        self.p50_us = latencies.value_at_quantile(0.5) / 1000;
        self.p99_us = latencies.value_at_quantile(0.99) / 1000;
        self.max_us = latencies.max() / 1000;
    }

    /// Writes one JSON line, or a line per figure.
    pub(crate) fn print(&self, as_json: bool) -> Result<(), ToolError> {
        if as_json {
            let line = serde_json::to_string(self).map_err(std::io::Error::from)?;
            return write_line(&line);
        }
        write_line(&format!(
            "{} with {} clients on {} connections, {:.1} s",
            self.workload, self.clients, self.connections, self.seconds
        ))?;
        write_line(&format!("  operations/s  {:.0}", self.operations_per_second))?;
        write_line(&format!(
            "  latency       p50 {} us, p99 {} us, max {} us",
            self.p50_us, self.p99_us, self.max_us
        ))?;
        write_line(&format!(
            "  CPU per op    server {:.1} us, client {:.1} us",
            self.server_cpu_us_per_operation, self.client_cpu_us_per_operation
        ))?;
        match &self.first_error {
            Some(error) => write_line(&format!("  errors        {} ({error})", self.errors)),
            None => Ok(()),
        }
    }
}

fn write_line(line: &str) -> Result<(), ToolError> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(())
}
