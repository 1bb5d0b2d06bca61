//! What a container's command line would do: how long it runs and how it ends.
//!
//! Only what can be told from the words is told: `sleep`, `exit`, `true`, `false`, `echo`, alone or
//! in a shell's script. Anything else is taken for a server that runs until it is stopped, or, in a
//! Job's pod, for work that succeeds.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::ownership::controller_of;

/// How long a Job's work takes when its words do not say.
const WORK: Duration = Duration::from_secs(1);

/// What a container does once started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Program {
    /// How long it runs; `None`: until it is stopped.
    pub(super) runs: Option<Duration>,
    /// What it exits with.
    pub(super) exit: i32,
}

impl Program {
    /// What this container of the pod does.
    pub(super) fn of(pod: &Pod, container: &Container) -> Self {
        let words = container.command.iter().flatten().chain(container.args.iter().flatten());
        let words: Vec<&str> = words.map(String::as_str).collect();
        let told = match words.as_slice() {
            [shell, "-c", script, ..] if is_shell(shell) => script_of(script),
            [] => None,
            words => command(words).map(Step::program),
        };
        let of_job = controller_of(&pod.metadata).is_some_and(|owner| owner.kind == "Job");
        let silent = Self { runs: of_job.then_some(WORK), exit: 0 };
        told.unwrap_or(silent)
    }
}

/// What one command does.
#[derive(Clone, Copy)]
enum Step {
    Takes(Duration),
    Fails,
    Exits(i32),
    Stays,
}

impl Step {
    fn program(self) -> Program {
        match self {
            Step::Takes(time) => Program { runs: Some(time), exit: 0 },
            Step::Fails => Program { runs: Some(Duration::ZERO), exit: 1 },
            Step::Exits(code) => Program { runs: Some(Duration::ZERO), exit: code },
            Step::Stays => Program { runs: None, exit: 0 },
        }
    }
}

fn is_shell(word: &str) -> bool {
    matches!(word.rsplit('/').next(), Some("sh" | "bash" | "ash" | "dash"))
}

/// A script of commands one after the other; `None` when one of them is not understood.
fn script_of(script: &str) -> Option<Program> {
    let mut program = Program { runs: Some(Duration::ZERO), exit: 0 };
    let commands = script.split(&[';', '\n'][..]).flat_map(|part| part.split("&&"));
    for words in commands.map(|text| text.split_whitespace().collect::<Vec<_>>()) {
        if words.is_empty() {
            continue;
        }
        let step = command(&words)?;
        program.exit = 0;
        match step {
            Step::Takes(time) => program.runs = program.runs.map(|sum| sum.saturating_add(time)),
            Step::Fails => program.exit = 1,
            Step::Exits(code) => return Some(Program { exit: code, ..program }),
            Step::Stays => return Some(Program { runs: None, exit: 0 }),
        }
    }
    Some(program)
}

fn command(words: &[&str]) -> Option<Step> {
    let name = words.first()?.rsplit('/').next()?;
    match (name, words.get(1)) {
        ("sleep", Some(&("infinity" | "inf"))) => Some(Step::Stays),
        ("sleep", Some(time)) => duration(time).map(Step::Takes),
        ("exit", code) => Some(Step::Exits(code.and_then(|code| code.parse().ok()).unwrap_or(0))),
        ("false", _) => Some(Step::Fails),
        ("true" | "echo" | "date" | "hostname" | "printf" | ":", _) => {
            Some(Step::Takes(Duration::ZERO))
        }
        _ => None,
    }
}

/// Seconds, with sleep's own suffixes.
fn duration(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let unit = match suffix {
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let seconds: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(seconds * unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn program(words: &[&str], owner: Option<&str>) -> Program {
        let owners = owner.map(|kind| {
            json!([{ "apiVersion": "batch/v1", "kind": kind, "name": "o", "uid": "u",
                "controller": true }])
        });
        let pod = json!({ "metadata": { "ownerReferences": owners } });
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let container = json!({ "name": "c", "command": words });
        Program::of(&pod, &serde_json::from_value(container).expect("a container"))
    }

    #[test]
    fn what_the_words_say_is_done() {
        let seconds = |runs: u64, exit| Program { runs: Some(Duration::from_secs(runs)), exit };
        assert_eq!(program(&["sleep", "5"], None), seconds(5, 0));
        assert_eq!(
            program(&["/bin/sh", "-c", "echo hi; sleep 1m && exit 3"], None),
            seconds(60, 3)
        );
        assert_eq!(program(&["false"], None), seconds(0, 1));
        assert_eq!(program(&["sh", "-c", "false; true"], None), seconds(0, 0));
        assert_eq!(program(&["sleep", "infinity"], None), Program { runs: None, exit: 0 });
    }

    #[test]
    fn other_words_are_a_server_or_in_a_job_work_that_succeeds() {
        assert_eq!(program(&["nginx"], None).runs, None);
        assert_eq!(program(&[], Some("ReplicaSet")).runs, None);
        assert_eq!(program(&[], Some("Job")), Program { runs: Some(WORK), exit: 0 });
        assert_eq!(program(&["perl", "-e", "1"], Some("Job")).runs, Some(WORK));
        assert_eq!(program(&["sh", "-c", "exit 1"], Some("Job")).exit, 1);
    }

    #[test]
    fn words_that_are_no_time_are_not_understood() {
        for words in [["sleep", "x"], ["sleep", "-1"], ["sleep", "1y"], ["sleep", "1e999"]] {
            assert_eq!(program(&words, None).runs, None, "{words:?}");
        }
    }
}
