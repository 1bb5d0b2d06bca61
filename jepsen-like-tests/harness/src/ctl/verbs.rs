//! Whether `engram ctl` has every verb and every flag that etcdctl has: each program is asked for
//! its help, verb by verb.
//!
//! Must not know: any verb or flag by name, but those that are understood and not shown.

use std::path::Path;

use anyhow::{Result, ensure};
use tokio::process::Command;

/// Understood by `engram ctl` and not shown: what others can see, or what is refused with a reason.
const HIDDEN: &[&str] = &[
    "del --range",
    "user add --new-user-password",
    "options --discovery-srv",
    "options --discovery-srv-name",
    "options --insecure-discovery",
    "options --write-out",
];

/// Compares the trees; how many verbs and flags are there, and what is missing.
pub async fn run(etcdctl: &Path, engram: &Path) -> Result<(u64, Vec<String>)> {
    let (mut there, mut missing) = (0, Vec::new());
    let mut open = vec![Vec::<String>::new()];
    while let Some(verb) = open.pop() {
        let theirs = help(etcdctl, &[], &verb).await?;
        let ours = help(engram, &["ctl"], &verb).await?;
        let name = verb.join(" ");
        let is_there = ours.contains(format!("Usage: engram ctl {name}").trim_end());
        if !is_there {
            missing.push(format!("etcdctl {name}"));
            continue;
        }
        there += 1;
        for flag in flags(&theirs, "Flags:") {
            note(&name, &flag, &ours, &mut there, &mut missing);
        }
        for inner in verbs(&theirs) {
            open.push(verb.iter().cloned().chain([inner]).collect());
        }
    }
    let global = Command::new(etcdctl).arg("options").output().await?;
    let global = String::from_utf8_lossy(&global.stdout).into_owned();
    let ours = help(engram, &["ctl"], &["get".to_owned()]).await?;
    let options = flags(&global, "The following options can be passed to any command:");
    ensure!(options.len() > 10, "the options of etcdctl are not where they were");
    for flag in options {
        note("options", &flag, &ours, &mut there, &mut missing);
    }
    Ok((there, missing))
}

fn note(verb: &str, flag: &str, help: &str, there: &mut u64, missing: &mut Vec<String>) {
    let line = format!("{verb} --{flag}");
    let shown = help.split([' ', '\n', ',', '=', '[']).any(|word| word == format!("--{flag}"));
    match shown || HIDDEN.contains(&line.as_str()) {
        true => *there += 1,
        false => missing.push(line),
    }
}

async fn help(program: &Path, first: &[&str], verb: &[String]) -> Result<String> {
    let mut command = Command::new(program);
    let output = command.args(first).args(verb).arg("--help").env_clear().output().await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The verbs below this one: the indented lines behind each headline of commands.
fn verbs(help: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in help.lines() {
        if let Some(indented) = line.strip_prefix("  ") {
            let name = indented.split_whitespace().next().unwrap_or_default();
            if inside && name != "help" {
                found.push(name.to_owned());
            }
        } else if !line.is_empty() {
            inside = line.trim_end_matches(':').to_ascii_lowercase().ends_with("commands");
        }
    }
    found
}

/// The long flags behind a headline, up to the next one.
fn flags(help: &str, headline: &str) -> Vec<String> {
    let behind = help.lines().skip_while(|line| *line != headline).skip(1);
    let lines = behind.take_while(|line| line.is_empty() || line.starts_with(' '));
    let names = lines.filter_map(|line| {
        let flag = line.trim_start();
        let flag =
            flag.split_once(", ").filter(|(short, _)| short.len() == 2).map_or(flag, |f| f.1);
        let name = flag.strip_prefix("--")?.split([' ', '=', '[']).next()?;
        (name != "help").then(|| name.to_owned())
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::{flags, note, verbs};

    const HELP: &str = "What it does\n\nUsage:\n  etcdctl x\n\nKey-value commands\n  get    reads\n  \
                        help   tells\n\nFlags:\n  -a, --all[=true]   all\n      --b int  b\n  -h, \
                        --help  help\n\nGlobal Flags:\n      --hex\n";

    #[test]
    fn verbs_and_flags_are_read_from_help() {
        assert_eq!(verbs(HELP), ["get"]);
        assert_eq!(flags(HELP, "Flags:"), ["all", "b"]);
    }

    #[test]
    fn a_flag_that_is_not_shown_is_missing() {
        let (mut there, mut missing) = (0, Vec::new());
        note("get", "b", "  -b, --b <B>", &mut there, &mut missing);
        note("get", "bb", "  -b, --b <B>", &mut there, &mut missing);
        assert_eq!((there, missing), (1, vec!["get --bb".to_owned()]));
    }
}
