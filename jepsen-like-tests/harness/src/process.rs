//! Server processes: found, started, waited for, stopped, frozen and killed by their own pid.
//!
//! Invariants: a process ends with the value that owns it; ports are free when they are drawn;
//! ready means that a linearizable read was answered, not that a line was printed.
//!
//! Must not know: which faults a run wants.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use proto::etcdserverpb::RangeRequest;
use rustix::process::{Pid, Signal};
use services::etcdserverpb::kv_client::KvClient;
use tonic::transport::{Channel, Endpoint};

/// How long a server may take until it answers.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Time between two looks at a condition.
pub const POLL: Duration = Duration::from_millis(20);

/// The programs a run drives.
#[derive(Debug, Clone)]
pub struct Programs {
    /// Engram's binary: `ENGRAM_BIN`, else `bin/engram`.
    pub engram: PathBuf,
    /// The folder with the real etcd, etcdctl and etcdutl: `ENGRAM_PEERS`, else the cache's.
    pub peers: PathBuf,
}

impl Programs {
    /// Finds the programs, or says which command makes the missing one.
    pub fn find() -> Result<Self> {
        let engram = std::env::var_os("ENGRAM_BIN")
            .map_or_else(|| PathBuf::from("bin/engram"), PathBuf::from);
        let cache = std::env::var_os("ENGRAM_CACHE").map(PathBuf::from).unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/engram")
        });
        let peers =
            std::env::var_os("ENGRAM_PEERS").map_or_else(|| cache.join("peers/bin"), PathBuf::from);
        if !engram.is_file() {
            bail!("{} is missing: run `make build`", engram.display());
        }
        if !peers.join("etcd").is_file() {
            bail!("{} is missing: run `make peers`", peers.join("etcd").display());
        }
        Ok(Self { engram: std::path::absolute(engram)?, peers })
    }
}

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
    child: Option<Child>,
}

impl Member {
    /// Describes a member; nothing is started yet.
    #[must_use]
    pub fn new(program: PathBuf, arguments: Vec<String>, log: PathBuf, client_url: String) -> Self {
        Self { program, arguments, log, client_url, child: None }
    }

    /// Its client URL.
    #[must_use]
    pub fn client_url(&self) -> &str {
        &self.client_url
    }

    /// Its process id while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts the process; does not wait for it.
    pub fn start(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", std::env::var_os("HOME").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until a linearizable read is answered.
    pub async fn ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_DEADLINE;
        loop {
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                bail!(
                    "{} ended with {status}; its output: {}",
                    self.program.display(),
                    self.tail()
                );
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

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().ok_or_else(|| anyhow!("the member does not run"))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the end; returns how long it took.
    pub async fn terminate(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.signal(Signal::TERM)?;
        let mut child = self.child.take().ok_or_else(|| anyhow!("the member does not run"))?;
        while child.try_wait()?.is_none() {
            if started.elapsed() > READY_DEADLINE {
                child.kill()?;
                bail!("the member did not end after SIGTERM; its output: {}", self.tail());
            }
            crate::pause::pause(Duration::from_millis(2)).await;
        }
        Ok(started.elapsed())
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
        let pid = self.pid().ok_or_else(|| anyhow!("the member does not run"))?;
        let pid = Pid::from_raw(i32::try_from(pid)?).ok_or_else(|| anyhow!("pid 0"))?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    /// The last lines the process wrote.
    #[must_use]
    pub fn tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

async fn answers(url: &str) -> bool {
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

/// Loopback ports that nobody listens on now.
pub fn free_ports(count: usize) -> Result<Vec<u16>> {
    let listeners =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
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
