//! The log: one JSON object per line with etcd's keys, or lines for people.

use std::fmt;
use std::fs::File;
use std::io;
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};
use server::config::LogFormat;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt as _};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Starts the log of this process; called once.
///
/// *Errors*: a log file cannot be opened.
pub(crate) fn start(level: &str, format: LogFormat, outputs: &[String]) -> Result<()> {
    // openraft tells each step at `info`; only its warnings concern an operator.
    let quiet = if level == "debug" { "info" } else { "warn" };
    let filter = format!("{level},openraft={quiet},h2=warn,hyper=warn,tower=warn");
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_ansi(false)
        .with_writer(writer(outputs)?);
    match format {
        LogFormat::Json => builder.event_format(Json).init(),
        LogFormat::Console => builder.init(),
    }
    Ok(())
}

fn writer(outputs: &[String]) -> Result<BoxMakeWriter> {
    let mut all: Option<BoxMakeWriter> = None;
    for output in outputs {
        let next = match output.as_str() {
            "default" | "stderr" | "systemd/journal" => BoxMakeWriter::new(io::stderr),
            "stdout" => BoxMakeWriter::new(io::stdout),
            path => {
                let file = File::options().create(true).append(true).open(path);
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

/// `{"level":"info","ts":"…","caller":"…","msg":"…", fields}`.
struct Json;

impl<S, N> FormatEvent<S, N> for Json
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
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let metadata = event.metadata();
        let mut line = Line::default();
        line.set("level", metadata.level().as_str().to_ascii_lowercase());
        line.set("ts", time);
        line.set("caller", metadata.target());
        line.set("msg", "");
        event.record(&mut line);
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

#[derive(Default)]
struct Line(Map<String, Value>);

impl Line {
    fn set(&mut self, name: &str, value: impl Into<Value>) {
        let name = if name == "message" { "msg" } else { name };
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), value);
    }
}
