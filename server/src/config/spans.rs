//! `--enable-distributed-tracing` and what goes with it, with etcd's checks and texts.
//! Must not know: OpenTelemetry, sockets.

use super::ConfigError;
use super::values::Values;

/// Of so many calls, `samples` are told to the collector.
pub const SAMPLES_OF: u32 = 1_000_000;

/// Where the spans of calls are told, and of which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanSettings {
    /// `host:port` of a collector that speaks OTLP over gRPC in the clear.
    pub address: String,
    /// `service.name`; the same for all members.
    pub service_name: String,
    /// `service.instance.id`; another one for each member.
    pub instance_id: Option<String>,
    /// How many of [`SAMPLES_OF`] calls are told that no caller has decided about.
    pub samples: u32,
}

/// None when it is switched off; then nothing of it is checked, as in etcd.
pub(super) fn read(values: &Values<'_>) -> Result<Option<SpanSettings>, ConfigError> {
    if !values.switch("enable-distributed-tracing") {
        return Ok(None);
    }
    let given: i64 = values
        .text("distributed-tracing-sampling-rate")
        .parse()
        .expect("the form was checked by parse");
    let wrong = |why: &str| {
        ConfigError::unusable(format!(
            "distributed tracing configurition is not valid: (tracing sampling rate must be {why})"
        ))
    };
    if given < 0 {
        return Err(wrong("positive"));
    }
    let samples = u32::try_from(given).ok().filter(|samples| *samples <= SAMPLES_OF);
    let samples = samples.ok_or_else(|| wrong(&format!("less than {SAMPLES_OF}")))?;
    let text = |name: &str| values.text(name).to_owned();
    Ok(Some(SpanSettings {
        address: text("distributed-tracing-address"),
        service_name: text("distributed-tracing-service-name"),
        instance_id: Some(text("distributed-tracing-instance-id")).filter(|id| !id.is_empty()),
        samples,
    }))
}
