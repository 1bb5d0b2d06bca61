//! `--feature-gates`: the names of etcd 3.7, and what each means here.
//!
//! Compat: the texts of etcd's feature gates. Must not know: who asks whether a gate is on.

use std::collections::BTreeMap;

use super::ConfigError;
use super::text::go_bool;

/// What a gate does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Here {
    /// What it switches on is always on.
    Always,
    /// There is nothing that it could switch; the text says why.
    Nothing(&'static str),
}

struct Gate {
    name: &'static str,
    default: bool,
    alpha: bool,
    here: Here,
}

const fn gate(name: &'static str, default: bool, here: Here) -> Gate {
    // The gates of 3.7 that are on by default are its beta ones.
    Gate { name, default, alpha: !default, here }
}

const GATES: [Gate; 9] = [
    gate("CompactHashCheck", false, Here::Always),
    gate("FastLeaseKeepAlive", true, Here::Always),
    gate("InitialCorruptCheck", false, Here::Always),
    gate("LeaseCheckpoint", false, Here::Always),
    gate("LeaseCheckpointPersist", false, Here::Always),
    gate("PriorityRequest", false, Here::Nothing("requests are not refused for their number")),
    gate("SetMemberLocalAddr", false, Here::Nothing("the system chooses the address to dial from")),
    gate("StopGRPCServiceOnDefrag", false, Here::Nothing("defragmentation blocks no request")),
    gate("TxnModeWriteWithSharedBuffer", true, Here::Nothing("there is no bbolt file")),
];

/// The names for the help and the page of flags.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ["AllAlpha", "AllBeta"].into_iter().chain(GATES.iter().map(|gate| gate.name))
}

/// Reads `name=bool,…`. *Errors*: etcd's, for a name or a value that is none.
pub(super) fn check(given: &str) -> Result<(), ConfigError> {
    read(given).map(drop)
}

fn read(given: &str) -> Result<BTreeMap<&'static str, bool>, ConfigError> {
    let mut chosen = BTreeMap::new();
    for part in given.split(',').filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err(ConfigError::new(format!("missing bool value for {}", part.trim())));
        };
        let (name, value) = (name.trim(), value.trim());
        let on = go_bool(value).ok_or_else(|| {
            ConfigError::new(format!(
                "invalid value of {name}={value}, err: strconv.ParseBool: parsing {value:?}: \
                 invalid syntax"
            ))
        })?;
        let known = names()
            .find(|known| *known == name)
            .ok_or_else(|| ConfigError::new(format!("unrecognized feature gate: {name}")))?;
        chosen.insert(known, on);
    }
    Ok(chosen)
}

/// Checks what the gates mean together, and says which of them change nothing.
pub(super) fn resolve(given: &str, warnings: &mut Vec<String>) -> Result<(), ConfigError> {
    let chosen = read(given)?;
    let is_on = |gate: &Gate| {
        let all = if gate.alpha { "AllAlpha" } else { "AllBeta" };
        let wanted = chosen.get(gate.name).or_else(|| chosen.get(all));
        wanted.copied().unwrap_or(gate.default)
    };
    let named = |name: &str| GATES.iter().find(|gate| gate.name == name).is_some_and(is_on);
    if named("LeaseCheckpointPersist") && !named("LeaseCheckpoint") {
        return Err(ConfigError::unusable(
            "enabling feature gate LeaseCheckpointPersist requires enabling feature gate \
             LeaseCheckpoint",
        ));
    }
    for gate in &GATES {
        match (chosen.get(gate.name), gate.here) {
            (Some(false), Here::Always) => {
                warnings.push(format!("feature gate {}=false: it is always on here", gate.name));
            }
            (Some(true), Here::Nothing(why)) if !gate.default => {
                warnings.push(format!("feature gate {}=true has no effect here: {why}", gate.name));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_read_and_refused_as_etcd_does() {
        let rows = [
            ("", None),
            ("InitialCorruptCheck=true", None),
            ("AllAlpha=true, StopGRPCServiceOnDefrag=f", None),
            ("Foo=true", Some("unrecognized feature gate: Foo")),
            ("InitialCorruptCheck", Some("missing bool value for InitialCorruptCheck")),
            (
                "InitialCorruptCheck=x",
                Some(
                    "invalid value of InitialCorruptCheck=x, err: strconv.ParseBool: parsing \
                     \"x\": invalid syntax",
                ),
            ),
        ];
        for (given, refusal) in rows {
            let read = check(given).map_err(|error| error.text);
            assert_eq!(read.err().as_deref(), refusal, "{given}");
        }
    }

    #[test]
    fn gates_that_depend_on_each_other_are_checked_together() {
        let resolve = |given: &str| {
            let mut warnings = Vec::new();
            super::resolve(given, &mut warnings).map(|()| warnings).map_err(|error| error.text)
        };
        let refusal = "enabling feature gate LeaseCheckpointPersist requires enabling feature \
                       gate LeaseCheckpoint";
        assert_eq!(resolve("LeaseCheckpointPersist=true"), Err(refusal.to_owned()));
        assert_eq!(resolve("AllAlpha=true,LeaseCheckpoint=false"), Err(refusal.to_owned()));
        assert_eq!(resolve("LeaseCheckpointPersist=true,LeaseCheckpoint=true"), Ok(Vec::new()));
        assert_eq!(resolve("InitialCorruptCheck=true"), Ok(Vec::new()));
        assert_eq!(
            resolve("CompactHashCheck=false,SetMemberLocalAddr=true").map(|said| said.len()),
            Ok(2)
        );
    }
}
