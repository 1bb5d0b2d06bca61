//! `engram ctl`: everything etcdctl does, in better words, and what an operator wishes it did.
//!
//! Invariants: it speaks nothing but the published etcd API (and HTTP for metrics), so it works
//! with the real etcd as well; `-o simple`, `json`, `fields` and `protobuf` are etcdctl's own
//! output; a command line of etcdctl means the same here.
//!
//! Must not know: how the server is built inside.

mod auth;
mod check;
mod context;
mod doctor;
mod endpoint;
mod flags;
mod global;
mod kv;
mod lease;
mod ls;
mod maintenance;
mod member;
mod migrate;
mod mirror;
mod observe;
mod process;
mod prompt;
mod range;
mod reference;
mod session;
mod show;
mod top;
mod txn;
mod watch;
mod words;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::ToolError;
use global::Global;

pub use reference::page as reference_page;

const ABOUT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Talk to a running cluster: everything etcdctl does, contexts, browsing, a live console, safe
/// replacement of members, and a doctor.
#[derive(Parser)]
#[command(
    name = "engram ctl",
    disable_version_flag = true,
    infer_subcommands = true,
    disable_help_subcommand = false,
    after_help = "Exit codes and errors: docs/reference/errors.md. Every flag has a variable: \
                  --endpoints is ETCDCTL_ENDPOINTS."
)]
struct Ctl {
    #[command(flatten)]
    flags: flags::Flags,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Read a key, or a range of keys.
    #[command(
        after_help = "Examples:\n  engram ctl get greeting\n  engram ctl get --prefix /app/ --keys-only\n  engram ctl get greeting --rev 7 -o json"
    )]
    Get(kv::Get),
    /// Write a key.
    #[command(
        after_help = "Examples:\n  engram ctl put greeting hello\n  engram ctl put /app/config < config.json\n  engram ctl put greeting -- -1"
    )]
    Put(kv::Put),
    /// Delete a key, or a range of keys.
    #[command(
        after_help = "Examples:\n  engram ctl del greeting\n  engram ctl del --prefix /app/ --prev-kv"
    )]
    Del(kv::Del),
    /// Browse keys as a tree of segments between slashes, with counts.
    #[command(after_help = "Examples:\n  engram ctl ls\n  engram ctl ls /registry/ --depth 2")]
    Ls(ls::Ls),
    /// Run a transaction read from standard input: compares, then, else, parted by empty lines.
    #[command(
        after_help = "Example:\n  printf 'mod(\"k\") > \"0\"\\n\\nput k again\\n\\nput k first\\n\\n' | engram ctl txn"
    )]
    Txn(txn::Txn),
    /// Drop history before a revision.
    // Short as before `completion` was there.
    #[command(alias = "comp")]
    Compaction(kv::Compaction),
    /// Print changes to a key or a range as they happen.
    #[command(
        after_help = "Examples:\n  engram ctl watch --prefix /app/\n  engram ctl watch k --rev 3 --prev-kv\n  engram ctl watch k -- sh -c 'echo \"$ETCD_WATCH_VALUE\"'"
    )]
    Watch(watch::Watch),
    /// Grant, renew, look at and revoke leases.
    #[command(subcommand)]
    Lease(lease::Lease),
    /// Look at and change the members.
    #[command(subcommand)]
    Member(member::Verb),
    /// Ask each endpoint how it is.
    Endpoint(endpoint::Endpoint),
    /// Watch the members live: leader, rates, latencies, lag, sizes, alarms.
    Top(top::Top),
    /// Look for trouble: verdict, evidence and the next command of each finding.
    ///
    /// Ends with 0 when all is well, 1 with warnings, 2 when something needs you now.
    Doctor(doctor::Doctor),
    /// List and clear alarms.
    #[command(subcommand)]
    Alarm(maintenance::Alarm),
    /// Give unused space of the database back, endpoint by endpoint.
    Defrag(maintenance::Defrag),
    /// Hand leadership to another member.
    MoveLeader(maintenance::MoveLeader),
    /// Save a member's database to a file.
    #[command(subcommand)]
    Snapshot(maintenance::Snapshot),
    /// Prepare the cluster for an older version.
    #[command(subcommand)]
    Downgrade(maintenance::Downgrade),
    /// Hold a lock until interrupted, or while a command runs.
    #[command(after_help = "Example:\n  engram ctl lock backup -- ./backup.sh")]
    Lock(session::Lock),
    /// Take part in an election, or watch one.
    Elect(session::Elect),
    /// Switch authentication on or off.
    #[command(subcommand)]
    Auth(auth::Auth),
    /// Manage users.
    #[command(subcommand)]
    User(auth::User),
    /// Manage roles.
    #[command(subcommand)]
    Role(auth::Role),
    /// Judge a cluster under etcdctl's loads.
    #[command(subcommand)]
    Check(check::Check),
    /// Copy keys to another cluster and keep following.
    #[command(after_help = "Example:\n  engram ctl make-mirror --prefix /app/ http://standby:2379")]
    MakeMirror(mirror::Mirror),
    /// Copy a running etcd, live, and prove that both sides are equal.
    #[command(after_help = "Example:\n  engram ctl migrate --from http://old:2379")]
    Migrate(migrate::Migrate),
    /// Keep endpoints and certificates under names.
    #[command(
        subcommand,
        after_help = "Example:\n  engram ctl context set prod --endpoints https://a:2379,https://b:2379 --cacert ca.pem\n  engram ctl context use prod"
    )]
    Context(context::Verb),
    /// Print a completion script; `engram completions` has one for all of engram.
    Completion {
        /// bash, zsh or fish.
        shell: String,
    },
    /// Print the versions.
    Version,
    /// List the global flags.
    Options,
}

/// The whole command tree, for completions and man pages.
#[must_use]
pub fn command() -> clap::Command {
    Ctl::command()
}

/// Parses and runs one `engram ctl` command; `arguments` start after the word `ctl`.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = plain_booleans(arguments.into_iter().collect());
    let words = std::iter::once(OsString::from("engram ctl")).chain(arguments);
    let parsed = Ctl::command()
        .try_get_matches_from(words)
        .and_then(|matches| Ctl::from_arg_matches(&matches));
    match parsed {
        Ok(ctl) => begin(ctl),
        Err(error) => refuse(&error),
    }
}

/// Help is an answer; anything else that clap says is an error of usage with its id.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that went away is no error.
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let text = text.trim_start_matches("error: ").trim_end();
    crate::finish(Err(ToolError::Usage(text.to_owned())))
}

fn begin(ctl: Ctl) -> ExitCode {
    let Ctl { flags, verb } = ctl;
    match verb {
        Verb::Context(verb) => {
            crate::finish(context::run(&flags.output(), verb, flags.as_context()))
        }
        Verb::Completion { shell } => crate::finish(completion(&shell)),
        Verb::Version => crate::finish(version(&flags.output())),
        Verb::Options => crate::finish(options()),
        verb => match flags.resolve() {
            Ok(global) => crate::block_on(1, dispatch(global, verb)),
            Err(error) => crate::finish(Err(error)),
        },
    }
}

async fn dispatch(global: Global, verb: Verb) -> Result<(), ToolError> {
    let global = &global;
    match verb {
        Verb::Get(get) => kv::get(global, get).await,
        Verb::Put(put) => kv::put(global, put).await,
        Verb::Del(del) => kv::del(global, del).await,
        Verb::Ls(ls) => ls::run(global, ls).await,
        Verb::Txn(txn) => txn::run(global, txn).await,
        Verb::Compaction(ask) => kv::compaction(global, ask).await,
        Verb::Watch(watch) => watch::run(global, watch).await,
        Verb::Lease(lease) => lease::run(global, lease).await,
        Verb::Member(verb) => member::run(global, verb).await,
        Verb::Endpoint(endpoint) => endpoint::run(global, endpoint).await,
        Verb::Top(top) => top::run(global, top).await,
        Verb::Doctor(doctor) => doctor::run(global, doctor).await,
        Verb::Alarm(verb) => maintenance::alarm(global, verb).await,
        Verb::Defrag(defrag) => maintenance::defrag(global, defrag).await,
        Verb::MoveLeader(ask) => maintenance::move_leader(global, ask).await,
        Verb::Snapshot(verb) => maintenance::snapshot(global, verb).await,
        Verb::Downgrade(verb) => maintenance::downgrade(global, verb).await,
        Verb::Lock(lock) => session::lock(global, lock).await,
        Verb::Elect(elect) => session::elect(global, elect).await,
        Verb::Auth(verb) => auth::auth(global, verb).await,
        Verb::User(verb) => auth::user(global, verb).await,
        Verb::Role(verb) => auth::role(global, verb).await,
        Verb::Check(check) => check::run(global, check).await,
        Verb::MakeMirror(mirror) => mirror::run(global, mirror).await,
        Verb::Migrate(migrate) => migrate::run(global, migrate).await,
        // Those that ask nobody were run before.
        Verb::Context(_) | Verb::Completion { .. } | Verb::Version | Verb::Options => Ok(()),
    }
}

/// The script for the name that the verbs are called under.
fn completion(shell: &str) -> Result<(), ToolError> {
    let tree = clap::Command::new("engram").subcommand(Ctl::command().name("ctl"));
    show::write(&crate::manual::completions(shell, tree)?)
}

/// The API that etcdctl of this version speaks.
const API_VERSION: &str = "3.7";

fn version(output: &show::Output) -> Result<(), ToolError> {
    output.say(
        || {
            let versions = show::Object::new().with("version", ABOUT_VERSION);
            versions.with("api_version", API_VERSION).into()
        },
        || format!("engram ctl version: {ABOUT_VERSION}\nAPI version: {API_VERSION}"),
    )
}

/// The flags alone, as `etcdctl options` lists them.
fn options() -> Result<(), ToolError> {
    let mut table = show::Table::new(&["FLAG", "VARIABLE", "DEFAULT", "MEANING"]);
    for flag in Ctl::command().get_arguments().filter(|flag| !flag.is_hide_set()) {
        let Some(long) = flag.get_long() else { continue };
        let variable = flag.get_env().map(|name| name.to_string_lossy().into_owned());
        let defaults: Vec<_> =
            flag.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        table.row(vec![
            format!("--{long}"),
            variable.unwrap_or_default(),
            defaults.join(","),
            flag.get_help().map(ToString::to_string).unwrap_or_default(),
        ]);
    }
    show::write(table.text("no flags").as_bytes())
}

/// Compat: Go takes `--prefix=true` and `--prefix=false` for `--prefix`; clap's switches have no
/// value. What follows `--` is left alone.
fn plain_booleans(arguments: Vec<OsString>) -> Vec<OsString> {
    let mut switches = BTreeSet::new();
    collect_switches(&Ctl::command(), &mut switches);
    let mut past_flags = false;
    let keep = |argument: OsString| {
        past_flags |= argument == "--";
        let text = argument.to_str().unwrap_or_default();
        let Some((name, value)) = text.split_once('=').filter(|_| !past_flags) else {
            return Some(argument);
        };
        let is_switch = name.strip_prefix("--").is_some_and(|name| switches.contains(name));
        match (is_switch, value) {
            (true, "true" | "1" | "t" | "T" | "TRUE" | "True") => Some(OsString::from(name)),
            (true, "false" | "0" | "f" | "F" | "FALSE" | "False") => None,
            _ => Some(argument),
        }
    };
    arguments.into_iter().filter_map(keep).collect()
}

fn collect_switches(command: &clap::Command, switches: &mut BTreeSet<String>) {
    let is_switch = |argument: &&clap::Arg| matches!(argument.get_action(), ArgAction::SetTrue);
    let names = command.get_arguments().filter(is_switch).filter_map(clap::Arg::get_long);
    switches.extend(names.map(str::to_owned));
    command.get_subcommands().for_each(|inner| collect_switches(inner, switches));
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::{Ctl, plain_booleans};
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_tree_is_sound() {
        Ctl::command().debug_assert();
    }

    #[test]
    fn no_verb_has_an_argument_with_the_id_of_a_global_flag() {
        fn walk(command: &clap::Command, globals: &[String], path: &str) {
            for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
                let id = argument.get_id().to_string();
                assert!(!globals.contains(&id), "{path}: {id} would be read as the flag's value");
            }
            for inner in command.get_subcommands() {
                walk(inner, globals, &format!("{path} {}", inner.get_name()));
            }
        }
        let root = Ctl::command();
        let flags = root.get_arguments().filter(|argument| argument.is_global_set());
        let globals: Vec<_> = flags.map(|argument| argument.get_id().to_string()).collect();
        root.get_subcommands().for_each(|verb| walk(verb, &globals, verb.get_name()));
    }

    #[test]
    fn switches_may_be_given_as_go_takes_them() {
        let words = ["get", "k", "--prefix=true", "--keys-only=false", "--", "--prefix=true"];
        let plain = plain_booleans(words.iter().map(OsString::from).collect());
        assert_eq!(plain, ["get", "k", "--prefix", "--", "--prefix=true"]);
    }

    #[test]
    fn etcdctls_spellings_are_understood() {
        for line in [
            "get a -w json",
            "get a --write-out=json --order=DESCEND --sort-by=modify",
            "--endpoints=a:1,b:2 get a b --hex",
            "put k v --lease 7f",
            "del a b --range",
            "lease keep-alive --once 7f",
            "member add n --peer-urls=http://a:1,http://b:2 --learner",
            "role grant-permission r READWRITE a b",
            "user add u --interactive=false",
            "endpoint status --cluster",
            "watch k -- echo hi",
            "lock name sh -c env",
            "elect -l name",
            "move-leader a759d8e1c4eeb940",
            "comp 5",
            "completion bash",
            "snapshot save f --command-timeout 1m30s",
        ] {
            let words = ["engram ctl"].into_iter().chain(line.split(' '));
            assert!(Ctl::try_parse_from(words).is_ok(), "{line}");
        }
    }
}
