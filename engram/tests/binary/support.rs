//! The binary as a process, and plain clients of it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use proto::etcdserverpb as pb;
use rustix::process::{Pid, Signal, kill_process};
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::watch_client::WatchClient;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tonic::transport::Channel;

/// Long enough for a loaded machine; nothing waits this long when things work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A client port whose next one is free too, and the same 100 and 200 higher; 300 higher there is
/// one for the Kubernetes API.
pub(crate) fn free_ports() -> u16 {
    // Each test process begins elsewhere; within one, no port is given twice.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 20_000 + (std::process::id() % 300) as u16 * 100;
    loop {
        let port = begin + NEXT.fetch_add(2, Ordering::Relaxed);
        let all = [0, 1, 100, 101, 200, 201, 300].map(|more| port + more);
        if all.iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()) {
            return port;
        }
    }
}

fn flags(data_dir: &Path, port: u16, cluster: &str) -> [String; 6] {
    let (client, peer) =
        (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{}", port + 1));
    [
        format!("--data-dir={}", data_dir.display()),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster={cluster}"),
    ]
}

/// A running `engram`.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) port: u16,
}

pub(crate) fn command(program: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(words)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) fn engram() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_engram"))
}

/// Runs to the end: exit code, standard output, standard error.
pub(crate) async fn run(words: &[&str]) -> (i32, String, String) {
    let output = command(engram(), words).output().await.expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

impl Process {
    /// `engram dev` with one member; the ready text has been read.
    pub(crate) async fn dev(data_dir: &Path, port: u16, more: &[&str]) -> (Self, String) {
        let (data_dir, client_port) = (data_dir.display().to_string(), port.to_string());
        let kube_port = (port + 300).to_string();
        let mut words = vec!["dev", "--data-dir", &data_dir, "--client-port", &client_port];
        words.extend(["--kube-port", &kube_port]);
        words.extend_from_slice(more);
        let mut child = command(engram(), &words).spawn().expect("it starts");
        let stdout = child.stdout.take().expect("piped");
        let text = until(stdout, "  engram ctl").await;
        (Process { child, port }, text)
    }

    /// `engram server` (or what is called so) alone; it is ready.
    pub(crate) async fn server(program: &Path, first: &[&str], data_dir: &Path, port: u16) -> Self {
        let cluster = format!("default=http://127.0.0.1:{}", port + 1);
        let flags = flags(data_dir, port, &cluster);
        let flags = flags.iter().map(String::as_str);
        Self::ready(program, &first.iter().copied().chain(flags).collect::<Vec<_>>(), port).await
    }

    /// One member of a quorum; it is ready, which takes most of the others. Its log stands beside
    /// its data.
    pub(crate) async fn member(data_dir: &Path, port: u16, name: &str, cluster: &str) -> Self {
        let log = format!("--log-outputs=stderr,{}.log", data_dir.display());
        let flags = flags(data_dir, port, cluster);
        let flags = flags.iter().map(String::as_str);
        let words: Vec<&str> = ["server", "--name", name, &log].into_iter().chain(flags).collect();
        Self::ready(engram(), &words, port).await
    }

    async fn ready(program: &Path, words: &[&str], port: u16) -> Self {
        let mut child = command(program, words).spawn().expect("it starts");
        let stderr = child.stderr.take().expect("piped");
        until(stderr, "ready to serve client requests").await;
        Process { child, port }
    }

    /// A process that says on standard error that it is ready.
    pub(crate) async fn said(mut child: Child, port: u16, wanted: &str) -> Self {
        let stderr = child.stderr.take().expect("piped");
        until(stderr, wanted).await;
        Process { child, port }
    }

    pub(crate) async fn channel(&self) -> Channel {
        let url = format!("http://127.0.0.1:{}", self.port);
        Channel::from_shared(url).expect("a URL").connect().await.expect("the port is open")
    }

    pub(crate) async fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel().await)
    }

    pub(crate) async fn lease(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel().await)
    }

    pub(crate) async fn watch(&self) -> WatchClient<Channel> {
        WatchClient::new(self.channel().await)
    }

    pub(crate) async fn put(&self, key: &str, value: &str) {
        let (key, value) = (key.to_owned().into(), value.to_owned().into());
        let request = pb::PutRequest { key, value, ..Default::default() };
        self.kv().await.put(request).await.expect("accepted");
    }

    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let request = pb::RangeRequest { key: key.to_owned().into(), ..Default::default() };
        let answer = self.kv().await.range(request).await.expect("answered").into_inner();
        let kv = answer.kvs.into_iter().next()?;
        Some(String::from_utf8_lossy(&kv.value).into_owned())
    }

    /// The cluster's and the member's id.
    pub(crate) async fn ids(&self) -> (u64, u64) {
        let request = pb::RangeRequest { key: "a".into(), ..Default::default() };
        let answer = self.kv().await.range(request).await.expect("answered").into_inner();
        let header = answer.header.expect("a header");
        (header.cluster_id, header.member_id)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.child.id().expect("it runs");
        let pid = Pid::from_raw(i32::try_from(id).expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("it can be signalled");
    }

    /// Asks it to end; how it ended and how long that took.
    pub(crate) async fn end(&mut self, signal: Signal) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.signal(signal);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        (ended.expect("it ends").expect("it can be waited for"), began.elapsed())
    }

    /// Ends it as a power cut does.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

/// Reads lines up to and with the one that holds `wanted`; the rest is read and dropped.
async fn until(stream: impl tokio::io::AsyncRead + Unpin + Send + 'static, wanted: &str) -> String {
    let mut lines = BufReader::new(stream).lines();
    let mut text = String::new();
    let read = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            text.push_str(&line);
            text.push('\n');
            if line.contains(wanted) {
                return;
            }
        }
        panic!("it ended without {wanted:?}:\n{text}");
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap_or_else(|_| panic!("no {wanted:?} in time"));
    let mut rest = lines.into_inner();
    tokio::spawn(async move {
        let mut sink = Vec::new();
        // Nobody asks for it; reading keeps the writer from waiting.
        drop(rest.read_to_end(&mut sink).await);
    });
    text
}
