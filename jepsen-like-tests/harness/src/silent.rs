//! Thousands of connections that say nothing: over TCP, over TLS, and some that stop in the middle
//! of a handshake.
//!
//! Invariants: what is measured is printed; while the connections are open every put is answered,
//! the member's memory grows by a bounded amount for each, and each is cut off by the server.
//!
//! Must not know: how the server does that.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use proto::etcdserverpb::PutRequest;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use services::etcdserverpb::kv_client::KvClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::process::{Kind, Member, Programs, cluster, dial, free_ports};

/// Memory that one silent connection may cost, in bytes: a task, a timer, and what a handshake that
/// began needs.
const BYTES_PER_CONNECTION_MAX: u64 = 12 * 1024;
/// What the member's memory may grow by itself meanwhile, in bytes.
const BYTES_SLACK: u64 = 48 * 1024 * 1024;
/// A silent connection must be gone after this time: the deadlines are 10 s, and the rest is room
/// for a loaded machine.
const CUT_OFF_WITHIN: Duration = Duration::from_secs(25);
/// A put must be answered within this time, whoever else says nothing.
const PUT_WITHIN: Duration = Duration::from_secs(2);
/// Files that are not for these connections.
const FILES_RESERVED: u64 = 200;

/// The three ways to say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Silence {
    /// On the port in the clear.
    Clear,
    /// On the TLS port, not even a first byte.
    Tls,
    /// On the TLS port, a handshake that stops after its first bytes.
    HalfHello,
}

/// The beginning of a TLS record with a ClientHello of 512 bytes.
const HELLO_BEGINS: [u8; 9] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc];

/// What was seen.
#[derive(Debug)]
pub struct Outcome {
    /// Checks that held.
    pub passed: u64,
    /// What did not.
    pub findings: Vec<String>,
}

/// Opens `connections` in the clear and as many on a TLS port.
pub async fn run(programs: &Programs, folder: &Path, connections: usize) -> Result<Outcome> {
    let connections = allowed(connections);
    let tls_port = free_ports(1)?[0];
    let mut member = start(programs, folder, tls_port).await?;
    let clear_port = port_of(member.client_url())?;
    let before = member.resident_bytes();

    let mut open = JoinSet::new();
    let opening = Instant::now();
    for at in 0..connections {
        let silence = if at % 2 == 0 { Silence::Tls } else { Silence::HalfHello };
        open.spawn(hold(clear_port, Silence::Clear));
        open.spawn(hold(tls_port, silence));
        // In steps that the listeners' queues can take.
        if at % 256 == 255 {
            tokio::task::yield_now().await;
        }
    }
    let (slowest, peak) = puts_meanwhile(&member, opening + Duration::from_secs(6)).await?;
    let mut held = Held::default();
    while let Some(ended) = open.join_next().await {
        held.add(ended?);
    }
    let grown = peak.saturating_sub(before);
    let number = 2 * connections as u64;
    println!(
        "silent: {number} connections (half TLS, half of those with a begun handshake), {} cut off, \
         the last after {:.1} s; the slowest put {} ms; memory {} MiB before, {} MiB with them, {} \
         bytes each",
        held.cut_off,
        held.longest.as_secs_f64(),
        slowest.as_millis(),
        before >> 20,
        peak >> 20,
        grown / number.max(1),
    );
    let served_after = put(member.client_url()).await.is_ok();
    let checks = [
        (held.refused == 0, format!("{} connections were not taken", held.refused)),
        (held.left == 0, format!("{} connections were not cut off in time", held.left)),
        (slowest <= PUT_WITHIN, format!("a put took {slowest:?}")),
        (
            grown <= number * BYTES_PER_CONNECTION_MAX + BYTES_SLACK,
            format!("memory grew by {grown} bytes"),
        ),
        (served_after, "no put is answered afterwards".to_owned()),
    ];
    let passed = checks.iter().filter(|(held, _)| *held).count() as u64;
    let findings = checks.into_iter().filter(|(held, _)| !held).map(|(_, text)| text).collect();
    member.kill()?;
    Ok(Outcome { passed, findings })
}

/// As many as this process may open files for.
fn allowed(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // What cannot be raised is used as it is.
    let _ = setrlimit(Resource::Nofile, raised);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let each = usize::try_from(files.saturating_sub(FILES_RESERVED) / 2).unwrap_or(usize::MAX);
    if each < wanted {
        println!("silent: only {each} of each kind, since {files} files may be open");
    }
    wanted.min(each)
}

async fn start(programs: &Programs, folder: &Path, tls_port: u16) -> Result<Member> {
    let mut member = cluster(programs, Kind::Engram, folder, 1, &["--auto-tls"])?.remove(0);
    let both = format!("{},https://127.0.0.1:{tls_port}", member.client_url());
    member.add_argument(format!("--listen-client-urls={both}"));
    member.start()?;
    member.ready().await?;
    Ok(member)
}

fn port_of(url: &str) -> Result<u16> {
    let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
    port.with_context(|| format!("{url} has no port"))
}

/// How one connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Refused,
    CutOff(Duration),
    Left,
}

#[derive(Debug, Default)]
struct Held {
    refused: u64,
    cut_off: u64,
    left: u64,
    longest: Duration,
}

impl Held {
    fn add(&mut self, end: End) {
        match end {
            End::Refused => self.refused += 1,
            End::Left => self.left += 1,
            End::CutOff(after) => {
                self.cut_off += 1;
                self.longest = self.longest.max(after);
            }
        }
    }
}

/// Opens a connection and waits until the server ends it.
async fn hold(port: u16, silence: Silence) -> End {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else {
        return End::Refused;
    };
    if silence == Silence::HalfHello && stream.write_all(&HELLO_BEGINS).await.is_err() {
        return End::Refused;
    }
    let since = Instant::now();
    let mut bytes = [0; 64];
    let end = async {
        // An end and a reset are both an end; an alert may come before.
        while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
    };
    match tokio::time::timeout(CUT_OFF_WITHIN, end).await {
        Ok(()) => End::CutOff(since.elapsed()),
        Err(_) => End::Left,
    }
}

async fn put(url: &str) -> Result<Duration> {
    let mut kv = KvClient::new(dial(url).await?);
    let began = Instant::now();
    let request = PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() };
    kv.put(request).await?;
    Ok(began.elapsed())
}

/// Puts on a connection of its own, one after the other; the slowest, and the member's most memory.
async fn puts_meanwhile(member: &Member, until: Instant) -> Result<(Duration, u64)> {
    let mut slowest = Duration::ZERO;
    let mut peak = 0;
    while Instant::now() < until {
        slowest = slowest.max(put(member.client_url()).await?);
        peak = peak.max(member.resident_bytes());
        crate::pause::pause(Duration::from_millis(50)).await;
    }
    Ok((slowest, peak))
}
