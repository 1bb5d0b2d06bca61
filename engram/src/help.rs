//! What the binary says about itself.

use std::io::Write as _;
use std::process::ExitCode;

use server::config::nearest;
use server::version::{ENGRAM_VERSION, ETCD_VERSION};

const WORDS: [&str; 10] = [
    "dev",
    "server",
    "apiserver",
    "controllers",
    "ctl",
    "util",
    "bench",
    "completions",
    "man",
    "version",
];

const HELP: &str = "\
Engram: a replicated, watchable key-value store that any etcd v3 client can use unchanged, and a
Kubernetes API over it.

Usage: engram <command> [flags]

  dev          start both on this machine, ready in a second (--nodes 3 for a quorum)
  server       run one member of a store; takes etcd's flags and ETCD_* variables
  apiserver    serve the Kubernetes API over any etcd v3; takes kube-apiserver's flags
  controllers  run controllers, scheduler and simulated nodes against a Kubernetes API
  ctl          everything etcdctl does against a running store, and top, doctor, member replace
  util         look into a data directory of a stopped member
  bench        measure a running store
  completions  print a completion script: bash, zsh or fish
  man          print the man page, or write all pages to a folder
  version      print the versions

Each command explains itself with --help. Called by the name `etcd`, `kube-apiserver` or
`kube-controller-manager`, it is `engram server`, `engram apiserver` or `engram controllers`.
";

/// Prints the help.
pub(crate) fn print() -> ExitCode {
    say(HELP)
}

/// Prints our own version and that of the API.
pub(crate) fn print_version() -> ExitCode {
    say(&format!("engram {ENGRAM_VERSION} (etcd API {ETCD_VERSION})\n"))
}

/// Compat: the shape of etcd's four lines; drivers of etcd binaries parse the first one.
pub(crate) fn print_etcd_version() -> ExitCode {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    say(&format!(
        "etcd Version: {ETCD_VERSION}\nGit SHA: none (Engram {ENGRAM_VERSION})\n\
         Go Version: none (Rust)\nGo OS/Arch: {}/{machine}\n",
        std::env::consts::OS
    ))
}

/// Refuses a command that does not exist.
pub(crate) fn unknown(word: &str) -> ExitCode {
    let hint = nearest(word, WORDS.into_iter())
        .map(|near| format!("; did you mean `engram {near}`?"))
        .unwrap_or_default();
    complain(&format!("`{word}` is no command{hint}\n`engram help` lists them"));
    ExitCode::from(2)
}

/// Writes to standard output; a reader that went away is no error.
pub(crate) fn say(text: &str) -> ExitCode {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes an error for a person to standard error.
pub(crate) fn complain(text: &str) {
    // Nobody is left to tell when standard error is gone.
    drop(writeln!(std::io::stderr().lock(), "engram: {text}"));
}
