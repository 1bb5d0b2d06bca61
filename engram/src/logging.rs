//! The log: one JSON object per line with etcd's keys, or lines for people.
//!
//! Compat: keys, their order, times, and the sampling of etcd's logger: of one message, the first
//! hundred of a second are written and then each hundredth.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};
use server::config::{LogFormat, LogRotation};
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt as _};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::log_file::LogFile;

/// Starts the log of this process; called once.
///
/// *Errors*: a log file cannot be opened.
pub(crate) fn start(level: &str, format: LogFormat, outputs: &[String]) -> Result<()> {
    start_rotated(level, format, outputs, None)
}

/// As [`start`]; a file among the outputs is put aside when it is full.
pub(crate) fn start_rotated(
    level: &str,
    format: LogFormat,
    outputs: &[String],
    rotation: Option<LogRotation>,
) -> Result<()> {
    // openraft tells each step at `info`; only its warnings concern an operator. What rustls warns
    // of is said by whoever holds the handshake.
    let quiet = if level == "debug" { "info" } else { "warn" };
    let filter = format!("{level},openraft={quiet},h2=warn,hyper=warn,tower=warn,rustls=error");
    let lines = Lines { format, said: Mutex::default() };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(false)
        .with_writer(writer(outputs, rotation)?)
        .event_format(lines)
        .init();
    Ok(())
}

fn writer(outputs: &[String], rotation: Option<LogRotation>) -> Result<BoxMakeWriter> {
    let mut all: Option<BoxMakeWriter> = None;
    for output in outputs {
        let next = match output.as_str() {
            "default" | "stderr" | "systemd/journal" => BoxMakeWriter::new(io::stderr),
            "stdout" => BoxMakeWriter::new(io::stdout),
            path => {
                let file = LogFile::open(Path::new(path), rotation);
                let file = file.with_context(|| format!("cannot open the log file {path}"))?;
                BoxMakeWriter::new(Mutex::new(file))
            }
        };
        all = Some(match all {
            Some(before) => BoxMakeWriter::new(before.and(next)),
            None => next,
        });
    }
    Ok(all.unwrap_or_else(|| BoxMakeWriter::new(io::stderr)))
}

/// `{"level":"info","ts":"…","caller":"…","msg":"…", fields}`, or the same parted by tabs.
struct Lines {
    format: LogFormat,
    said: Mutex<HashMap<Identifier, Said>>,
}

/// How often one message was said in one second.
#[derive(Default)]
struct Said {
    second: u64,
    times: u64,
}

/// *Source*: the sampling of etcd's logger.
const SAID_FIRST: u64 = 100;
const SAID_THEN_EACH: u64 = 100;

impl Lines {
    /// Whether a message is one too many in this second.
    fn is_left_out(&self, metadata: &Metadata<'_>) -> bool {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let second = now.map_or(0, |now| now.as_secs());
        let Ok(mut said) = self.said.lock() else { return false };
        let said = said.entry(metadata.callsite()).or_default();
        if said.second != second {
            *said = Said { second, times: 0 };
        }
        said.times += 1;
        said.times > SAID_FIRST && !(said.times - SAID_FIRST).is_multiple_of(SAID_THEN_EACH)
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        if self.is_left_out(metadata) {
            return Ok(());
        }
        let mut line = Line { message: String::new(), fields: Map::new() };
        event.record(&mut line);
        let head = [
            ("level", level(*metadata.level()).to_owned()),
            ("ts", now()?),
            ("caller", caller(metadata)),
            ("msg", line.message),
        ];
        match self.format {
            LogFormat::Json => {
                let head = head.map(|(key, text)| (key.to_owned(), Value::String(text)));
                let all: Map<_, _> = head.into_iter().chain(line.fields).collect();
                writeln!(writer, "{}", Value::Object(all))
            }
            LogFormat::Console => {
                let [(_, level), (_, ts), (_, caller), (_, message)] = head;
                write!(writer, "{ts}\t{level}\t{caller}\t{message}")?;
                if !line.fields.is_empty() {
                    write!(writer, "\t{}", spaced(&Value::Object(line.fields)))?;
                }
                writeln!(writer)
            }
        }
    }
}

fn now() -> Result<String, fmt::Error> {
    let mut time = String::new();
    SystemTime.format_time(&mut Writer::new(&mut time))?;
    Ok(time)
}

fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}

/// The folder, the file and the line, as zap shortens them.
fn caller(metadata: &Metadata<'_>) -> String {
    let (Some(file), Some(line)) = (metadata.file(), metadata.line()) else {
        return metadata.target().to_owned();
    };
    let start = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    format!("{}:{line}", &file[start..])
}

/// JSON with a space after each comma and colon, as zap writes it for people.
fn spaced(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields
                .map(|(key, value)| format!("{}: {}", Value::from(key.as_str()), spaced(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

struct Line {
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        match (field.name(), value.into()) {
            ("message", Value::String(text)) => self.message = text,
            // Of the `log` crate's own bookkeeping.
            (name, _) if name.starts_with("log.") => {}
            (name, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        // A list of texts is shown as JSON would; what only looks like one stays a text.
        let list = text.starts_with('[').then(|| serde_json::from_str::<Value>(&text).ok());
        match list.flatten() {
            Some(list) if field.name() != "message" => self.set(field, list),
            _ => self.set(field, text),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_for_people_are_spaced_as_zap_spaces_them() {
        let fields = serde_json::json!({"args": ["a", "b"], "n": 1, "on": true});
        assert_eq!(spaced(&fields), r#"{"args": ["a", "b"], "n": 1, "on": true}"#);
    }
}
