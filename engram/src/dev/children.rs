//! A quorum of child processes on this machine.
//!
//! Invariants: a child ends when this process does, because its standard input ends; a child that
//! ends by itself is said, and the others go on: that is what a quorum is for.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use apiserver::storage::{EtcdOptions, EtcdStorage, Storage};
use rustix::process::{Pid, Signal, kill_process};
use server::config::LogFormat;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};

use super::kubernetes::Kubernetes;
use super::options::{Node, Options};
use super::ready_text;
use crate::server_command::PARENT_VARIABLE;
use crate::signals::EndSignals;
use crate::{help, logging};

/// How long the members may take until all are healthy.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How often their health is asked for meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How long a clean end may take.
const END_WITHIN: Duration = Duration::from_secs(5);

/// Runs the children until a signal.
pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(live(options))
}

struct Running {
    node: Node,
    child: Child,
    /// Ends with this process, and the child with it. Taken out of `child`, which would close it
    /// when it is waited for.
    _stdin: Option<ChildStdin>,
}

async fn live(options: &Options) -> Result<()> {
    let began = Instant::now();
    let mut signals = EndSignals::new().context("cannot listen for signals")?;
    options.make_data_dir()?;
    if !options.no_kubernetes {
        let log = options.kubernetes_log().display().to_string();
        logging::start("info", LogFormat::Json, &[log])?;
    }
    let mut running = Vec::new();
    for node in options.nodes() {
        let mut child = spawn(&node)?;
        let stdin = child.stdin.take();
        running.push(Running { node, child, _stdin: stdin });
    }
    let mut kubernetes = None;
    let served = tokio::select! {
        ready = all_ready(options, &mut running, &mut kubernetes, began) => ready,
        _ = signals.next() => return end(running, kubernetes).await,
    };
    if served.is_ok() {
        watch_over(&mut running, &mut signals).await;
    }
    served.and(end(running, kubernetes).await)
}

/// Waits for the members, starts Kubernetes over them, and says so.
async fn all_ready(
    options: &Options,
    running: &mut [Running],
    kubernetes: &mut Option<Kubernetes>,
    began: Instant,
) -> Result<()> {
    all_healthy(running).await?;
    let told = if options.no_kubernetes {
        ready_text::Kubernetes::Unwanted
    } else {
        let endpoints: Vec<String> = options.nodes().iter().map(Node::client_url).collect();
        let storage = move || -> Result<Arc<dyn Storage>> {
            Ok(Arc::new(EtcdStorage::remote(&endpoints, EtcdOptions::default())?))
        };
        match Kubernetes::start(options, storage).await {
            Ok(started) => {
                let told = ready_text::Kubernetes::Served(started.told(options));
                *kubernetes = Some(started);
                told
            }
            Err(error) => ready_text::Kubernetes::Failed(format!("{error:#}")),
        }
    };
    help::say(&ready_text::quorum(options, &told, began.elapsed()));
    Ok(())
}

/// Ends Kubernetes first: it stands on the members.
async fn end(mut running: Vec<Running>, kubernetes: Option<Kubernetes>) -> Result<()> {
    if let Some(kubernetes) = kubernetes {
        kubernetes.stop().await;
    }
    let ended = tokio::time::timeout(END_WITHIN, end_all(&mut running)).await;
    ended.context("a member did not end in time")
}

fn spawn(node: &Node) -> Result<Child> {
    let program = std::env::current_exe().context("cannot find the own program")?;
    Command::new(program)
        .arg("server")
        .args(node.flags())
        .env(PARENT_VARIABLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C reaches this process only, which then ends the children one by one.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start member {}", node.name))
}

async fn all_healthy(running: &mut [Running]) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    for member in running {
        while !is_healthy(member.node.client_port).await {
            if let Some(status) = member.child.try_wait()? {
                let words = last_words(member).await;
                bail!("member {} ended ({status}): {words}", member.node.name);
            }
            if Instant::now() > deadline {
                bail!(
                    "member {} is not healthy after {} s; its log is {}",
                    member.node.name,
                    READY_WITHIN.as_secs(),
                    member.node.log.display()
                );
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
    Ok(())
}

async fn is_healthy(port: u16) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let request = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer.starts_with(b"HTTP/1.1 200"))
    };
    asked.await.unwrap_or(false)
}

async fn last_words(member: &mut Running) -> String {
    let mut words = String::new();
    if let Some(mut stderr) = member.child.stderr.take() {
        // What was read is said; a broken pipe adds nothing to it.
        drop(stderr.read_to_string(&mut words).await);
    }
    words.trim().to_owned()
}

/// Says which members end by themselves; returns at a signal.
async fn watch_over(running: &mut [Running], signals: &mut EndSignals) {
    let mut pulse = tokio::time::interval(Duration::from_millis(200));
    let mut told = vec![false; running.len()];
    loop {
        tokio::select! {
            _ = signals.next() => return,
            _ = pulse.tick() => {}
        }
        for (member, told) in running.iter_mut().zip(&mut told) {
            if let Ok(Some(status)) = member.child.try_wait()
                && !std::mem::replace(told, true)
            {
                let log = member.node.log.display();
                help::complain(&format!("member {} ended ({status}); see {log}", member.node.name));
            }
        }
    }
}

async fn end_all(running: &mut [Running]) {
    for member in running.iter() {
        let pid = member.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            // It may have ended a moment ago.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
    for member in running {
        drop(member.child.wait().await);
    }
}
