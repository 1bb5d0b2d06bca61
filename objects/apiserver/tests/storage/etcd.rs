//! A real etcd of its own for a test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use engram_apiserver::storage::Storage;
use programs::Process;
use tempfile::TempDir;

/// A running etcd; it ends with the test.
pub(crate) struct Etcd {
    process: Process,
    program: PathBuf,
    dir: TempDir,
    ports: Vec<u16>,
}

impl Etcd {
    /// Starts one; none, with a loud word, where there is no etcd on this machine.
    pub(crate) fn start() -> Option<Etcd> {
        let program = programs::peers_with(&["etcd"])?.join("etcd");
        let dir = tempfile::tempdir().expect("a directory");
        let ports = programs::free_ports(2).expect("free ports");
        let process = spawn(&program, &dir, &ports);
        Some(Etcd { process, program, dir, ports })
    }

    /// Its client URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Waits until it answers.
    pub(crate) async fn ready(&self, storage: &dyn Storage) {
        let end = Instant::now() + Duration::from_secs(30);
        while let Err(error) = storage.current_revision().await {
            assert!(Instant::now() < end, "etcd does not answer: {error}");
        }
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
    }

    /// Starts it again on its data.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(&self.program, &self.dir, &self.ports);
    }
}

fn spawn(program: &Path, dir: &TempDir, ports: &[u16]) -> Process {
    let [client, peer] = [0, 1].map(|port| format!("http://127.0.0.1:{}", ports[port]));
    let mut command = Command::new(program);
    command
        .args(["--name", "a", "--log-level", "error", "--unsafe-no-fsync"])
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("a={peer}")]);
    Process::start("etcd", command, &dir.path().join("log")).expect("etcd starts")
}
