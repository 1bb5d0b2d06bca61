//! Arguments and environment into "which flag was given, with what text, where".
//! Invariant: flag over environment; the order of arguments decides between two of one name.
//! Must not know: what a value means.

use std::collections::BTreeMap;

use super::text::{go_bool, nearest};
use super::{ConfigError, FLAGS, Flag, Kind};

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A command-line flag.
    Argument,
    /// An `ETCD_*` variable.
    Environment,
    /// The file of `--config-file`.
    File,
}

/// The values that were given, by flag name, and what is worth a warning.
#[derive(Debug, Clone, Default)]
pub struct Given {
    values: BTreeMap<&'static str, (String, Source)>,
    /// One line each, for the log.
    pub warnings: Vec<String>,
}

impl Given {
    /// The text given for a flag, if any.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(text, _)| text.as_str())
    }

    /// Takes a value whose form was checked.
    pub(crate) fn set(&mut self, flag: &'static Flag, text: String, source: Source) {
        self.values.insert(flag.name, (text, source));
    }

    /// The text given for a flag or its default.
    pub(crate) fn or_default(&self, flag: &'static Flag) -> &str {
        self.get(flag.name).unwrap_or(flag.default)
    }

    /// The flags that were given, in the order of their names.
    pub(crate) fn flags(&self) -> impl Iterator<Item = (&'static Flag, &str)> {
        self.values.iter().filter_map(|(name, (text, _))| Some((Flag::find(name)?, text.as_str())))
    }
}

/// Reads arguments (without the program's name) and environment.
///
/// *Errors*: an unknown flag (with the nearest known one), a missing or unreadable value, a word
/// that is no flag. An unknown `ETCD_*` variable is a warning, as in etcd.
pub fn parse(
    args: &[String],
    environment: &BTreeMap<String, String>,
) -> Result<Given, ConfigError> {
    let mut given = Given::default();
    let mut args = args.iter();
    while let Some(word) = args.next() {
        if word == "--" {
            if let Some(word) = args.next() {
                return Err(not_a_flag(word));
            }
            break;
        }
        let Some(body) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            return Err(not_a_flag(word));
        };
        let (name, inline) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        let flag = known(name, &mut given.warnings)?;
        let value = match (inline, flag.kind) {
            (Some(value), _) => value,
            (None, Kind::Bool | Kind::Anything) => "true".to_owned(),
            (None, _) => args
                .next()
                .cloned()
                .ok_or_else(|| ConfigError::new(format!("flag needs an argument: -{name}")))?,
        };
        check_value(flag, &value, &format!("flag -{name}"))?;
        given.values.insert(flag.name, (value, Source::Argument));
    }
    if config_file(&given, environment).is_none() {
        add_environment(&mut given, environment)?;
    }
    Ok(given)
}

/// The `--config-file` of the arguments, or of the environment. *Source*: etcd.
pub(super) fn config_file<'a>(
    given: &'a Given,
    environment: &'a BTreeMap<String, String>,
) -> Option<&'a str> {
    let variable = || environment.get("ETCD_CONFIG_FILE").map(String::as_str);
    given.get("config-file").or_else(variable).filter(|path| !path.is_empty())
}

fn not_a_flag(word: &str) -> ConfigError {
    ConfigError::unusable(format!("{word:?} is not a valid flag"))
}

/// etcd up to 3.6 knew many flags with this prefix; drivers of etcd binaries still pass them.
const OLD_PREFIX: &str = "experimental-";

fn known(name: &str, warnings: &mut Vec<String>) -> Result<&'static Flag, ConfigError> {
    if let Some(flag) = Flag::find(name) {
        return Ok(flag);
    }
    if let Some(flag) = name.strip_prefix(OLD_PREFIX).and_then(Flag::find) {
        warnings.push(format!("--{name} is an old name; it is read as --{}", flag.name));
        return Ok(flag);
    }
    let hint = nearest(name, FLAGS.iter().map(|flag| flag.name))
        .map(|near| format!("; did you mean --{near}?"))
        .unwrap_or_default();
    Err(ConfigError::new(format!("flag provided but not defined: -{name}{hint}")))
}

fn add_environment(
    given: &mut Given,
    environment: &BTreeMap<String, String>,
) -> Result<(), ConfigError> {
    for (variable, value) in environment {
        let Some(rest) = variable.strip_prefix("ETCD_") else { continue };
        let name = rest.to_ascii_lowercase().replace('_', "-");
        let Some(flag) = Flag::find(&name) else {
            let hint = nearest(&name, FLAGS.iter().map(|flag| flag.name))
                .and_then(Flag::find)
                .map(|near| format!("; did you mean {}?", near.variable()))
                .unwrap_or_default();
            given.warnings.push(format!("unrecognized environment variable {variable}{hint}"));
            continue;
        };
        // etcd treats an empty variable as not set.
        if value.is_empty() {
            continue;
        }
        if given.values.contains_key(flag.name) {
            given.warnings.push(format!("--{name} is given as a flag; {variable} is not read"));
            continue;
        }
        // Compat: etcd's code is 1 here.
        check_value(flag, value, variable).map_err(|error| ConfigError::unusable(error.text))?;
        given.values.insert(flag.name, (value.clone(), Source::Environment));
    }
    Ok(())
}

pub(super) fn check_value(flag: &Flag, value: &str, place: &str) -> Result<(), ConfigError> {
    let bad =
        |why: String| Err(ConfigError::new(format!("invalid value {value:?} for {place}: {why}")));
    match flag.kind {
        // Compat: Go's flags say it so for a boolean.
        Kind::Bool if go_bool(value).is_none() => match place.strip_prefix("flag ") {
            Some(flag) => {
                let text = format!("invalid boolean value {value:?} for {flag}: parse error");
                Err(ConfigError::new(text))
            }
            None => bad("parse error".to_owned()),
        },
        Kind::Unsigned => match value.parse::<u64>() {
            Ok(_) => Ok(()),
            Err(error) => bad(number_problem(error.kind())),
        },
        Kind::Signed => match value.parse::<i64>() {
            Ok(_) => Ok(()),
            Err(error) => bad(number_problem(error.kind())),
        },
        Kind::Duration if super::go_duration(value).is_none() => bad("parse error".to_owned()),
        Kind::Gates => match super::gates::check(value) {
            Ok(()) => Ok(()),
            Err(error) => bad(error.text),
        },
        Kind::Urls if !value.is_empty() => match super::Endpoint::read_list(value) {
            Ok(_) => Ok(()),
            Err(error) => bad(error.text),
        },
        _ => Ok(()),
    }
}

fn number_problem(kind: &std::num::IntErrorKind) -> String {
    use std::num::IntErrorKind::{NegOverflow, PosOverflow};
    match kind {
        PosOverflow | NegOverflow => "value out of range".to_owned(),
        _ => "parse error".to_owned(),
    }
}
