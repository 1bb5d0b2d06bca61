//! The one binary of Engram: looks at the first word (or at its own name) and hands over.
//! No behaviour of its own: it reads arguments and environment, picks implementations and wires.

mod apiserver_command;
mod apiserver_flags;
mod component;
mod component_flags;
mod controllers_command;
mod data_dir;
mod dev;
mod discovery;
mod file_limit;
mod help;
mod log_file;
mod logging;
mod manual;
mod peers;
mod server_command;
mod signals;
mod start_lines;
mod wiring;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let called = words.next().unwrap_or_default();
    if named(&called, "etcd") {
        return server_command::run(words, server_command::CalledAs::Etcd);
    }
    if named(&called, "kube-apiserver") {
        return apiserver_command::run(words);
    }
    if named(&called, "kube-controller-manager") {
        return controllers_command::run(words, controllers_command::CalledAs::ControllerManager);
    }
    let Some(word) = words.next() else { return help::print() };
    match word.to_str().unwrap_or_default() {
        "dev" => dev::run(words),
        "server" => server_command::run(words, server_command::CalledAs::Engram),
        "apiserver" => apiserver_command::run(words),
        "controllers" => controllers_command::run(words, controllers_command::CalledAs::Engram),
        "ctl" => cluster_tools::ctl::run(words),
        "util" => cluster_tools::util::run(words, wiring::STATES),
        "bench" => cluster_tools::bench::run(words),
        "completions" => manual::completions(words),
        "man" => manual::man(words),
        "version" | "--version" | "-V" => help::print_version(),
        "help" | "--help" | "-h" => help::print(),
        other => help::unknown(other),
    }
}

/// Whether the program was called by this name, whatever its folder.
fn named(called: &OsString, name: &str) -> bool {
    std::path::Path::new(called).file_name().is_some_and(|file| file == name)
}
