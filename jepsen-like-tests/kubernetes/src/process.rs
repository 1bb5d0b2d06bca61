//! The programs of a run, each started in the run's folder with a log of its own.
//!
//! Invariant: a process ends with the value that owns it, and also when this program is killed.
//!
//! Must not know: what the programs are for.

use std::path::Path;

use anyhow::{Result, bail};

pub use programs::{Process, Programs, free_ports};

/// The programs of a run.
///
/// *Errors*: a real program is missing; the message says which command makes it.
pub fn find() -> Result<Programs> {
    Programs::with_peers(&["etcd", "kube-apiserver"])
}

/// Starts a program with its output in `<folder>/<name>.log`; does not wait for it.
///
/// It must be called from a thread that lives as long as the run (the death signal goes with the
/// thread that started the process), so not from a blocking pool.
pub fn start(name: &str, program: &Path, arguments: &[String], folder: &Path) -> Result<Process> {
    if !program.is_file() {
        bail!("{} is missing", program.display());
    }
    let mut command = programs::with_this_thread(program);
    command.args(arguments).current_dir(folder);
    Process::start(name, command, &folder.join(format!("{name}.log")))
}
