//! A Prometheus of its own: started, asked, and ended with the value that owns it.
//!
//! Must not know: what is asked.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use programs::{Process, free_ports};
use serde_json::Value;

use crate::gateway::http;
use crate::process::POLL;

const READY_DEADLINE: Duration = Duration::from_secs(30);

/// One sample of an answer.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) value: f64,
}

/// A running Prometheus.
pub(super) struct Prometheus {
    url: String,
    _process: Process,
}

impl Prometheus {
    /// Starts it over these members and waits until it has scraped each.
    pub(super) async fn start(program: &Path, folder: &Path, members: &[String]) -> Result<Self> {
        let port = free_ports(1)?[0];
        let configuration = folder.join("prometheus.yml");
        std::fs::write(&configuration, configured(members))?;
        let mut command = Command::new(program);
        command
            .arg(format!("--config.file={}", configuration.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--log.level=warn", "--query.lookback-delta=10s"]);
        let process = Process::start("prometheus", command, &folder.join("prometheus.log"))?;
        let started = Prometheus { url: format!("http://127.0.0.1:{port}"), _process: process };
        let deadline = Instant::now() + READY_DEADLINE;
        loop {
            let up = started.query("sum(up)").await.unwrap_or_default();
            if up.first().is_some_and(|up| up.value == members.len() as f64) {
                return Ok(started);
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(folder.join("prometheus.log"));
                bail!("Prometheus cannot scrape the members: {up:?} {log:?}");
            }
            crate::pause::pause(POLL).await;
        }
    }

    /// Evaluates an expression now.
    ///
    /// *Errors*: also when Prometheus refuses the expression.
    pub(super) async fn query(&self, expression: &str) -> Result<Vec<Sample>> {
        let form = format!("query={}", escaped(expression));
        let kind = "Content-Type: application/x-www-form-urlencoded\r\n";
        let answer = http::ask(&self.url, "POST", "/api/v1/query", kind, form.as_bytes()).await?;
        let answer: Value = serde_json::from_str(&answer.body).context("no JSON")?;
        if answer["status"] != "success" {
            bail!("{expression}: {answer}");
        }
        let result = answer["data"]["result"].as_array().context("no vector")?;
        Ok(result.iter().map(sample).collect())
    }
}

fn sample(sample: &Value) -> Sample {
    let value = sample["value"][1].as_str().and_then(|text| text.parse().ok());
    Sample { value: value.unwrap_or(f64::NAN) }
}

fn configured(members: &[String]) -> String {
    let targets: Vec<String> =
        members.iter().map(|url| format!("'{}'", http::address(url))).collect();
    format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n\
         scrape_configs:\n- job_name: test-etcd\n  static_configs:\n  - targets: [{}]\n    \
         labels: {{cluster: test}}\n",
        targets.join(", ")
    )
}

/// As a form writes it.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}
