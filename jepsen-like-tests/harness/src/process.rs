//! Members: started, waited for, stopped, frozen, killed and started again.
//!
//! Invariants: a process ends with the value that owns it; ready means that a linearizable read was
//! answered, not that a line was printed.
//!
//! Must not know: which faults a run wants.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use programs::Process;
use proto::etcdserverpb::RangeRequest;
use rustix::process::Signal;
use services::etcdserverpb::kv_client::KvClient;
use tonic::transport::{Channel, Endpoint};

pub use programs::{Programs, free_ports};

/// How long a server may take until it answers.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Time between two looks at a condition.
pub const POLL: Duration = Duration::from_millis(20);

/// Which server is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The real etcd.
    Etcd,
    /// Ours.
    Engram,
}

/// One member: its flags, its files and, while it runs, its process.
#[derive(Debug)]
pub struct Member {
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    client_url: String,
    process: Option<Process>,
}

impl Member {
    /// Describes a member; nothing is started yet.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<String>, log: PathBuf, client_url: String) -> Self {
        Self { program, arguments, log, client_url, process: None }
    }

    /// Its client URL.
    #[must_use]
    pub fn client_url(&self) -> &str {
        &self.client_url
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Its flags.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }

    /// Adds a flag after the others; it holds from the next start.
    pub fn add_argument(&mut self, argument: String) {
        self.arguments.push(argument);
    }

    /// Resident memory in bytes; 0 when it does not run.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.process.as_ref().map_or(0, Process::resident_bytes)
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts the process; does not wait for it.
    pub fn start(&mut self) -> Result<()> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::var_os("HOME").unwrap_or_default());
        let name = self.program.display().to_string();
        self.process = Some(Process::start(&name, command, &self.log)?);
        Ok(())
    }

    /// Waits until a linearizable read is answered.
    pub async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_DEADLINE;
        loop {
            if let Some(ended) = self.process.as_mut().and_then(Process::ended) {
                bail!(ended);
            }
            if answers(&self.client_url).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready; its output: {}", self.client_url, self.tail());
            }
            crate::pause::pause(POLL).await;
        }
    }

    /// How it ended by itself, if it did.
    pub fn status(&mut self) -> Result<Option<std::process::ExitStatus>> {
        self.process.as_mut().ok_or_else(not_running)?.status()
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().ok_or_else(not_running)?.kill()
    }

    /// Sends SIGTERM and waits for the end; returns how long it took.
    pub async fn terminate(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.signal(Signal::TERM)?;
        let mut process = self.process.take().ok_or_else(not_running)?;
        while process.status()?.is_none() {
            if started.elapsed() > READY_DEADLINE {
                bail!("the member did not end after SIGTERM; its output: {}", self.tail());
            }
            crate::pause::pause(Duration::from_millis(2)).await;
        }
        Ok(started.elapsed())
    }

    /// Waits until the process ends by itself.
    pub async fn ended(&mut self) -> Result<()> {
        let started = Instant::now();
        let mut process = self.process.take().ok_or_else(not_running)?;
        while process.status()?.is_none() {
            if started.elapsed() > READY_DEADLINE {
                bail!("the member does not end; its output: {}", self.tail());
            }
            crate::pause::pause(POLL).await;
        }
        Ok(())
    }

    /// Freezes the process (SIGSTOP).
    pub fn freeze(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen process go on (SIGCONT).
    pub fn thaw(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().ok_or_else(not_running)?.signal(signal)
    }

    /// The last lines the process wrote.
    #[must_use]
    pub fn tail(&self) -> String {
        programs::tail(&self.log)
    }
}

fn not_running() -> anyhow::Error {
    anyhow!("the member does not run")
}

/// Whether a linearizable read is answered.
pub(crate) async fn answers(url: &str) -> bool {
    let Ok(channel) = dial(url).await else { return false };
    let mut request =
        tonic::Request::new(RangeRequest { key: "ready".into(), ..RangeRequest::default() });
    request.set_timeout(Duration::from_secs(2));
    KvClient::new(channel).range(request).await.is_ok()
}

/// One connection to a client URL.
pub async fn dial(url: &str) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned())?.connect_timeout(Duration::from_secs(2));
    Ok(endpoint.tcp_nodelay(true).connect().await?)
}

/// A cluster of members that name each other by etcd's static bootstrap flags.
///
/// Both servers take the same flags; `extra` follows them.
pub fn cluster(
    programs: &Programs,
    kind: Kind,
    folder: &Path,
    size: usize,
    extra: &[&str],
) -> Result<Vec<Member>> {
    let ports = free_ports(size * 2)?;
    let peer = |number: usize| format!("http://127.0.0.1:{}", ports[number * 2 + 1]);
    let initial: Vec<_> = (0..size).map(|number| format!("m{number}={}", peer(number))).collect();
    (0..size)
        .map(|number| {
            let client_url = format!("http://127.0.0.1:{}", ports[number * 2]);
            let data = folder.join(format!("m{number}"));
            let mut arguments = match kind {
                Kind::Etcd => Vec::new(),
                Kind::Engram => vec!["server".to_owned()],
            };
            arguments.extend([
                format!("--name=m{number}"),
                format!("--data-dir={}", data.display()),
                format!("--listen-client-urls={client_url}"),
                format!("--advertise-client-urls={client_url}"),
                format!("--listen-peer-urls={}", peer(number)),
                format!("--initial-advertise-peer-urls={}", peer(number)),
                format!("--initial-cluster={}", initial.join(",")),
                "--initial-cluster-state=new".to_owned(),
                "--initial-cluster-token=harness".to_owned(),
            ]);
            arguments.extend(extra.iter().map(|&flag| flag.to_owned()));
            let program = match kind {
                Kind::Etcd => programs.peers.join("etcd"),
                Kind::Engram => programs.engram.clone(),
            };
            Ok(Member::new(program, arguments, folder.join(format!("m{number}.log")), client_url))
        })
        .collect()
}
