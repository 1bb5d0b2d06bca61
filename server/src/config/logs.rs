//! `--log-*`: outputs, level, format and rotation, with etcd's checks and texts.
//! Must not know: files.

use super::values::Values;
use super::{ConfigError, LogFormat, LogRotation};

/// Where the log goes. *Errors*: `default` beside another output.
pub(super) fn outputs(values: &Values<'_>) -> Result<Vec<String>, ConfigError> {
    let mut outputs = values.list("log-outputs");
    if outputs.is_empty() {
        outputs.push("default".to_owned());
    }
    if outputs.len() > 1 && outputs.iter().any(|output| output == "default") {
        return Err(ConfigError::unusable("multi logoutput for \"default\" is not supported yet"));
    }
    // Compat: naming it once is enough to silence all.
    if outputs.iter().any(|output| output == "/dev/null") {
        outputs = vec!["/dev/null".to_owned()];
    }
    outputs.dedup();
    Ok(outputs)
}

/// Compat: there is one logger since 3.5.
pub(super) fn check_logger(text: &str) -> Result<(), ConfigError> {
    match text {
        "zap" => Ok(()),
        "capnslog" => Err(ConfigError::unusable("--logger=capnslog is removed in v3.5")),
        other => Err(ConfigError::unusable(format!("unknown logger option {other:?}"))),
    }
}

pub(super) fn level(text: &str) -> Result<String, ConfigError> {
    match text {
        "debug" | "info" | "warn" | "error" => Ok(text.to_owned()),
        "dpanic" | "panic" | "fatal" => Ok("error".to_owned()),
        other => Err(ConfigError::new(format!("unrecognized level: {other:?}"))),
    }
}

pub(super) fn format(text: &str) -> Result<LogFormat, ConfigError> {
    match text {
        "json" => Ok(LogFormat::Json),
        "console" => Ok(LogFormat::Console),
        other => Err(ConfigError::unusable(format!(
            "unknown log format: {other}, supported values json, console"
        ))),
    }
}

/// When the log file is put aside; none without `--enable-log-rotation`.
pub(super) fn rotation(values: &Values<'_>) -> Result<Option<LogRotation>, ConfigError> {
    if !values.switch("enable-log-rotation") {
        return Ok(None);
    }
    let is_file = |output: &&String| {
        !matches!(output.as_str(), "default" | "stderr" | "stdout" | "systemd/journal")
    };
    if outputs(values)?.iter().filter(is_file).count() != 1 {
        return Err(ConfigError::unusable(
            "--log-outputs requires a single file path when --log-rotate-config-json is defined",
        ));
    }
    read_rotation(values.text("log-rotation-config-json")).map(Some)
}

const BYTES_PER_MIB: u64 = 1024 * 1024;
/// *Source*: etcd's default, in MiB.
const ROTATION_MIB_DEFAULT: u64 = 100;

fn read_rotation(text: &str) -> Result<LogRotation, ConfigError> {
    let improper = |why: String| {
        ConfigError::unusable(format!("improperly formatted log rotation config: {why}"))
    };
    let read: serde_json::Value =
        serde_json::from_str(text).map_err(|error| improper(error.to_string()))?;
    let invalid = |key: &str| ConfigError::unusable(format!("invalid log rotation config: {key}"));
    let keys = read.as_object().ok_or_else(|| invalid("it must be an object"))?;
    let number = |key: &str| match keys.get(key) {
        None => Ok(0),
        Some(value) => value.as_u64().ok_or_else(|| invalid(key)),
    };
    for refused in ["compress", "localtime"] {
        if keys.get(refused).is_some_and(|value| value.as_bool() != Some(false)) {
            let text = format!("log rotation with {refused} is refused: not supported");
            return Err(ConfigError::unusable(text));
        }
    }
    let mib = match number("maxsize")? {
        0 => ROTATION_MIB_DEFAULT,
        mib => mib,
    };
    Ok(LogRotation {
        bytes_max: mib.saturating_mul(BYTES_PER_MIB),
        age_days_max: number("maxage")?,
        files_max: usize::try_from(number("maxbackups")?).unwrap_or(usize::MAX),
    })
}
