//! `engram completions` and `engram man`: the binary's whole command tree, for shells and for man.
//!
//! Invariant: every word of the help is in the tree, with the flags of its own table.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, CommandFactory as _};
use cluster_tools::{ToolError, manual};

use crate::component_flags::{Flag as ComponentFlag, Treatment as ComponentTreatment};
use crate::{apiserver_flags, dev, help};

/// Prints the completion script of the shell named.
pub(crate) fn completions(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let shell = words.next().unwrap_or_default();
    let shells = manual::SHELLS.join("|");
    if matches!(shell.to_str(), Some("--help" | "-h")) {
        return help::say(&format!(
            "Usage: engram completions {shells}\n\nPrints a script; for example\n  engram completions \
             bash > /etc/bash_completion.d/engram\n"
        ));
    }
    if words.next().is_some() || shell.is_empty() {
        help::complain(&format!("usage: engram completions {shells}"));
        return ExitCode::from(2);
    }
    match manual::completions(&shell.to_string_lossy(), tree()) {
        Ok(script) => help::say(&String::from_utf8_lossy(&script)),
        Err(error) => failed(&error),
    }
}

/// Prints the main page, or writes all pages to a folder.
pub(crate) fn man(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let folder = words.next();
    if folder.as_ref().is_some_and(|word| word == "--help" || word == "-h") {
        return help::say(
            "Usage: engram man [DIR]\n\nPrints the page engram(1), or writes the pages of all \
             commands to DIR.\n",
        );
    }
    if words.next().is_some() {
        help::complain("usage: engram man [DIR]");
        return ExitCode::from(2);
    }
    let Some(folder) = folder.map(PathBuf::from) else {
        return match manual::page(tree()) {
            Ok(page) => help::say(&String::from_utf8_lossy(&page)),
            Err(error) => failed(&error),
        };
    };
    match manual::pages(tree(), &folder) {
        Ok(written) => help::say(&format!("{written} pages written to {}\n", folder.display())),
        Err(error) => failed(&error),
    }
}

fn failed(error: &ToolError) -> ExitCode {
    help::complain(&error.to_string());
    ExitCode::from(2)
}

/// Everything that the binary understands.
fn tree() -> Command {
    let named = |name: &'static str, command: Command| command.name(name).display_name(name);
    let shell = Arg::new("SHELL").required(true).value_parser(manual::SHELLS);
    Command::new("engram")
        .about("A replicated, watchable key-value store that any etcd v3 client can use, and a Kubernetes API over it")
        .subcommand(named("dev", dev::Options::command()))
        .subcommand(server())
        .subcommand(
            Command::new("apiserver")
                .about("Serve the Kubernetes API over any etcd v3; takes kube-apiserver's flags")
                .args(apiserver_flags::TABLES.iter().copied().flatten().filter_map(of_component)),
        )
        .subcommand(
            Command::new("controllers")
                .about("Run controllers, scheduler and simulated nodes against a Kubernetes API"),
        )
        .subcommand(named("ctl", cluster_tools::ctl::command()))
        .subcommand(named("util", cluster_tools::util::command()))
        .subcommand(named("bench", cluster_tools::bench::command()))
        .subcommand(Command::new("completions").about("Print a completion script").arg(shell))
        .subcommand(
            Command::new("man")
                .about("Print the man page, or write all pages to a folder")
                .arg(Arg::new("DIR")),
        )
        .subcommand(Command::new("version").about("Print the versions"))
}

fn server() -> Command {
    use server::config::{FLAGS, Kind, Treatment};
    let flags = FLAGS.iter().filter_map(|flag| {
        let Treatment::Honoured(what) = flag.treatment else { return None };
        let argument = Arg::new(flag.name).long(flag.name).help(what);
        Some(match flag.kind {
            Kind::Bool => argument.action(ArgAction::SetTrue),
            _ => argument.action(ArgAction::Set),
        })
    });
    // `--version` and `--help` stand in etcd's own table.
    Command::new("server")
        .about("Run one member of a store; takes etcd's flags and ETCD_* variables")
        .disable_help_flag(FLAGS.iter().any(|flag| flag.name == "help"))
        .args(flags)
}

fn of_component(flag: &ComponentFlag) -> Option<Arg> {
    let ComponentTreatment::Honoured(what) = flag.treatment else { return None };
    let argument = Arg::new(flag.name).long(flag.name).help(what);
    Some(if flag.is_switch { argument.action(ArgAction::SetTrue) } else { argument })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_whole_tree_is_sound() {
        super::tree().debug_assert();
    }
}
