//! A real etcd of its own for a test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use engram_apiserver::storage::Storage;
use tempfile::TempDir;

/// A running etcd; it ends with the test.
pub(crate) struct Etcd {
    program: PathBuf,
    dir: TempDir,
    ports: (u16, u16),
    child: Child,
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("bound").port()
}

fn program() -> PathBuf {
    let peers = std::env::var_os("ENGRAM_PEERS").map(PathBuf::from).unwrap_or_else(|| {
        let cache = std::env::var_os("ENGRAM_CACHE").map(PathBuf::from).unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/engram")
        });
        cache.join("peers/bin")
    });
    peers.join("etcd")
}

impl Etcd {
    /// Starts one; none, with a loud word, where there is no etcd on this machine.
    pub(crate) fn start() -> Option<Etcd> {
        let program = program();
        if !program.exists() {
            eprintln!("NOT RUN: there is no etcd at {}", program.display());
            return None;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let ports = (free_port(), free_port());
        let child = spawn(&program, &dir, ports);
        Some(Etcd { program, dir, ports, child })
    }

    /// Its client URL.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.0)
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
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts it again on its data.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.program, &self.dir, self.ports);
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn spawn(program: &PathBuf, dir: &TempDir, (client, peer): (u16, u16)) -> Child {
    let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    Command::new(program)
        .args(["--name", "a", "--log-level", "error", "--unsafe-no-fsync"])
        .arg("--data-dir")
        .arg(dir.path().join("data"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("a={peer}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("etcd starts")
}
