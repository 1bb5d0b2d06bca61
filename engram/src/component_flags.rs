//! Flags of Kubernetes' components: read by one table that says what is done with each.
//!
//! Invariants: a flag that is not in the table stops the start; one that would weaken what its user
//! relies on is refused, never ignored. Must not know: what a value is used for.

use std::collections::BTreeMap;

use server::config::nearest;

/// What is done with a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    /// It works; what it does.
    Honoured(&'static str),
    /// It has no effect, which is said; why.
    Ignored(&'static str),
    /// It stops the start; why.
    Refused(&'static str),
}

/// A flag of a component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Flag {
    /// Without dashes.
    pub(crate) name: &'static str,
    /// Whether it may stand without a value, which means true.
    pub(crate) is_switch: bool,
    pub(crate) treatment: Treatment,
}

/// A flag that works.
pub(crate) const fn works(name: &'static str, what: &'static str) -> Flag {
    Flag { name, is_switch: false, treatment: Treatment::Honoured(what) }
}

/// A flag without effect.
pub(crate) const fn ignored(name: &'static str, why: &'static str) -> Flag {
    Flag { name, is_switch: false, treatment: Treatment::Ignored(why) }
}

/// A flag that stops the start.
pub(crate) const fn refused(name: &'static str, why: &'static str) -> Flag {
    Flag { name, is_switch: false, treatment: Treatment::Refused(why) }
}

impl Flag {
    /// The same as a switch.
    pub(crate) const fn switch(self) -> Flag {
        Flag { is_switch: true, ..self }
    }
}

/// The flags that were given.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
    values: BTreeMap<&'static str, Vec<String>>,
    /// What to tell the user.
    pub(crate) warnings: Vec<String>,
}

impl Given {
    /// Reads `--name=value`, `--name value` and `--switch`. *Errors*: what to tell the user.
    pub(crate) fn read(words: &[String], tables: &[&'static [Flag]]) -> Result<Self, String> {
        let mut given = Given::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let stripped = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            let Some(word) = stripped else { return Err(format!("{word:?} is no flag")) };
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word, None),
            };
            let all = || tables.iter().flat_map(|table| table.iter());
            let Some(flag) = all().find(|flag| flag.name == name) else {
                let hint = nearest(name, all().map(|flag| flag.name));
                let hint = hint.map(|near| format!("; did you mean --{near}?"));
                return Err(format!("unknown flag: --{name}{}", hint.unwrap_or_default()));
            };
            let value = match value {
                Some(value) => value,
                None if flag.is_switch => "true".to_owned(),
                None => match words.next() {
                    Some(value) => value.clone(),
                    None => return Err(format!("flag needs an argument: --{name}")),
                },
            };
            given.take(flag, value)?;
        }
        Ok(given)
    }

    fn take(&mut self, flag: &Flag, value: String) -> Result<(), String> {
        let name = flag.name;
        if flag.is_switch && !matches!(value.as_str(), "true" | "false" | "1" | "0") {
            return Err(format!("invalid argument {value:?} for --{name}: true or false"));
        }
        match flag.treatment {
            Treatment::Honoured(_) => self.values.entry(name).or_default().push(value),
            Treatment::Refused(_) if flag.is_switch && matches!(value.as_str(), "false" | "0") => {}
            Treatment::Refused(why) => return Err(format!("--{name} cannot be used: {why}")),
            Treatment::Ignored(why) => {
                self.warnings.push(format!("--{name} has no effect: {why}"));
            }
        }
        Ok(())
    }

    /// The last value of a flag.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|values| values.last()).map(String::as_str)
    }

    /// Every value of a flag, cut at commas.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let values = self.values.get(name).into_iter().flatten();
        let parts = values.flat_map(|value| value.split(',')).map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, name: &str, default: bool) -> bool {
        self.last(name).map_or(default, |value| matches!(value, "true" | "1"))
    }

    /// A value of a type. *Errors*: what to tell the user.
    pub(crate) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, String>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.last(name) else { return Ok(None) };
        let parsed = text.parse::<T>();
        parsed.map(Some).map_err(|error| format!("invalid argument {text:?} for --{name}: {error}"))
    }
}

/// The help of a component's flags.
pub(crate) fn help(usage: &str, tables: &[&'static [Flag]]) -> String {
    let mut text = format!("{usage}\n\n");
    for flag in tables.iter().flat_map(|table| table.iter()) {
        if let Treatment::Honoured(what) = flag.treatment {
            text.push_str(&format!("  --{}\n        {what}\n", flag.name));
        }
    }
    text.push_str("\nOther flags of the real component are ignored with a warning, or refused.\n");
    text
}

/// The page `docs/reference/component-flags.md`: every flag of every component.
#[cfg(test)]
fn page(components: &[(&str, &str, &[&'static [Flag]])]) -> String {
    let mut page = String::from(
        "# Flags of `engram apiserver` and `engram controllers`\n\n\
         Generated from the tables in `engram/src`; a test compares them. A flag has the name\n\
         that the real component gives it, or is our own. An ignored flag is named in one\n\
         warning; a refused one stops the start, as does one that does not stand here. A switch\n\
         may stand without a value, which means true.\n",
    );
    for (command, real, tables) in components {
        page += &format!("\n## `engram {command}`\n\nThe flags of {real}.\n\n");
        page += "| flag | state | note |\n|---|---|---|\n";
        let rows = tables.iter().flat_map(|table| table.iter());
        let row = |flag: &Flag| {
            let (state, note) = match flag.treatment {
                Treatment::Honoured(what) => ("honoured", what),
                Treatment::Ignored(why) => ("ignored", why),
                Treatment::Refused(why) => ("refused", why),
            };
            let switch = if flag.is_switch { ", a switch" } else { "" };
            format!("| `--{}` | {state}{switch} | {note} |\n", flag.name)
        };
        page.extend(rows.map(row));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_components_flags_is_generated_from_the_tables() {
        let page = page(&[
            ("apiserver", "kube-apiserver 1.37", &crate::apiserver_flags::TABLES),
            ("controllers", "kube-controller-manager 1.37", &crate::controllers_command::TABLES),
        ]);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reference/component-flags.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == page, "write this into docs/reference/component-flags.md:\n{page}");
    }

    const TABLE: &[Flag] = &[
        works("name", "what it is called"),
        works("on", "whether").switch(),
        ignored("old", "nothing needs it"),
        refused("secret", "it would not be kept"),
    ];

    fn read(line: &str) -> Result<Given, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Given::read(&words, &[TABLE])
    }

    #[test]
    fn values_come_behind_a_space_or_an_equals_sign() {
        let given = read("--name a --name=b,c --on --old=1").expect("valid");
        assert_eq!(given.last("name"), Some("b,c"));
        assert_eq!(given.list("name"), ["a", "b", "c"]);
        assert!(given.is_on("on", false));
        assert_eq!(given.warnings, ["--old has no effect: nothing needs it"]);
        assert!(!read("--on=false").expect("valid").is_on("on", true));
    }

    #[test]
    fn what_cannot_be_is_said() {
        let table = [
            ("--nam x", "unknown flag: --nam; did you mean --name?"),
            ("--name", "flag needs an argument: --name"),
            ("word", "\"word\" is no flag"),
            ("--on=maybe", "invalid argument \"maybe\" for --on: true or false"),
            ("--secret=x", "--secret cannot be used: it would not be kept"),
        ];
        for (line, wanted) in table {
            assert_eq!(read(line), Err(wanted.to_owned()), "{line}");
        }
    }
}
