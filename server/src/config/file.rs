//! `--config-file`: etcd's YAML into the values that flags would have given.
//!
//! Compat: keys are the flags' names but for the sections and names below; a key that is unknown
//! changes nothing (etcd: in silence; here: a warning). Durations are numbers of nanoseconds, as in
//! etcd, or texts like `10m`. With a file, flags and variables do not count.
//! Must not know: where the text came from.

use serde_json::Value;

use super::parse::{Source, check_value};
use super::text::nearest;
use super::{ConfigError, FLAGS, Flag, Given, Kind};

/// Largest file, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Sections, and what their keys are called as flags.
const SECTIONS: [(&str, &[(&str, &str)]); 4] = [
    (
        "client-transport-security",
        &[
            ("cert-file", "cert-file"),
            ("key-file", "key-file"),
            ("client-cert-file", "client-cert-file"),
            ("client-key-file", "client-key-file"),
            ("client-cert-auth", "client-cert-auth"),
            ("trusted-ca-file", "trusted-ca-file"),
            ("auto-tls", "auto-tls"),
            ("allowed-hostname", "client-cert-allowed-hostname"),
            ("client-crl-file", "client-crl-file"),
        ],
    ),
    (
        "peer-transport-security",
        &[
            ("cert-file", "peer-cert-file"),
            ("key-file", "peer-key-file"),
            ("client-cert-file", "peer-client-cert-file"),
            ("client-key-file", "peer-client-key-file"),
            ("client-cert-auth", "peer-client-cert-auth"),
            ("trusted-ca-file", "peer-trusted-ca-file"),
            ("auto-tls", "peer-auto-tls"),
            ("allowed-cn", "peer-cert-allowed-cn"),
            ("allowed-hostname", "peer-cert-allowed-hostname"),
            ("skip-client-san-verification", "peer-skip-client-san-verification"),
            ("peer-crl-file", "peer-crl-file"),
        ],
    ),
    (
        "socket-options",
        &[("reuse-port", "socket-reuse-port"), ("reuse-address", "socket-reuse-address")],
    ),
    ("discovery-config", &[("token", "discovery-token"), ("endpoints", "discovery-endpoints")]),
];

/// Flags that are no keys of the file: their section's keys are.
fn is_key(flag: &Flag) -> bool {
    let sectioned = SECTIONS.iter().flat_map(|(_, keys)| *keys);
    flag.name != "config-file" && !sectioned.into_iter().any(|(_, name)| *name == flag.name)
}

/// Reads the file's text. *Errors*: no YAML, a key given twice, a value of the wrong type.
pub(super) fn read(text: &str) -> Result<Given, ConfigError> {
    let root: Value = serde_saphyr::from_str(text)
        .map_err(|error| ConfigError::unusable(format!("error converting YAML: {error}")))?;
    let mut given = Given::default();
    let root = match root {
        Value::Null => return Ok(given),
        Value::Object(root) => root,
        _ => return Err(wrong_type("the file", "a map of keys")),
    };
    for (key, value) in root {
        let section = SECTIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&key));
        match section {
            Some((name, keys)) => read_section(name, keys, value, &mut given)?,
            None => read_key(&key, value, &mut given)?,
        }
    }
    Ok(given)
}

fn read_section(
    name: &str,
    keys: &[(&str, &str)],
    value: Value,
    given: &mut Given,
) -> Result<(), ConfigError> {
    let section = match value {
        Value::Null => return Ok(()),
        Value::Object(section) => section,
        _ => return Err(ConfigError::unusable(format!("invalid {name}"))),
    };
    for (key, value) in section {
        let known = keys.iter().find(|(known, _)| known.eq_ignore_ascii_case(&key));
        match known.and_then(|(_, flag)| Flag::find(flag)) {
            Some(flag) => set(flag, &format!("{name}.{key}"), value, given)?,
            None => unknown(&format!("{name}.{key}"), &key, keys.iter().map(|key| key.0), given),
        }
    }
    Ok(())
}

fn read_key(key: &str, value: Value, given: &mut Given) -> Result<(), ConfigError> {
    let known = FLAGS.iter().find(|flag| flag.name.eq_ignore_ascii_case(key) && is_key(flag));
    if let Some(flag) = known {
        return set(flag, key, value, given);
    }
    let names = FLAGS.iter().filter(|flag| is_key(flag)).map(|flag| flag.name);
    unknown(key, key, names.chain(SECTIONS.iter().map(|section| section.0)), given);
    Ok(())
}

fn unknown<'a>(shown: &str, key: &str, known: impl Iterator<Item = &'a str>, given: &mut Given) {
    let hint =
        nearest(key, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    given.warnings.push(format!("unknown key {shown} in the configuration file{hint}"));
}

fn set(flag: &'static Flag, key: &str, value: Value, given: &mut Given) -> Result<(), ConfigError> {
    let Some(text) = as_text(flag.kind, value).map_err(|wanted| wrong_type(key, wanted))? else {
        return Ok(());
    };
    // Compat: an empty text in the file leaves the default.
    if text.is_empty() && flag.kind != Kind::Text {
        return Ok(());
    }
    check_value(flag, &text, &format!("key {key}"))
        .map_err(|error| ConfigError::unusable(error.text))?;
    given.set(flag, text, Source::File);
    Ok(())
}

/// A value as a flag would have it. *Shape*: none for null. *Errors*: what it should have been.
fn as_text(kind: Kind, value: Value) -> Result<Option<String>, &'static str> {
    let text = match (kind, value) {
        (_, Value::Null) => return Ok(None),
        (Kind::Bool, Value::Bool(on)) => on.to_string(),
        (Kind::Bool, _) => return Err("a boolean"),
        (Kind::Unsigned | Kind::Signed, Value::Number(number)) => number.to_string(),
        (Kind::Unsigned | Kind::Signed, _) => return Err("a number"),
        (Kind::Duration, Value::Number(nanos)) => format!("{nanos}ns"),
        (Kind::Duration, Value::String(text)) => text,
        (Kind::Duration, _) => return Err("a number of nanoseconds or a text like 10m"),
        (_, Value::String(text)) => text,
        (_, Value::Number(number)) => number.to_string(),
        (_, Value::Bool(on)) => on.to_string(),
        (_, Value::Array(items)) => {
            let texts = items.into_iter().map(|item| item.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().ok_or("a list of texts")?.join(",")
        }
        (_, Value::Object(_)) => return Err("a text"),
    };
    Ok(Some(text))
}

fn wrong_type(key: &str, wanted: &str) -> ConfigError {
    ConfigError::unusable(format!("configuration file: {key} must be {wanted}"))
}
