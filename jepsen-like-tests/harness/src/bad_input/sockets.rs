//! Rows 49, 59 and 60 on living members: certificates that do not fit, thousands of short TLS
//! connections, and no file descriptors left.
//!
//! Invariants: somebody else is served meanwhile or at the latest when the connections are gone;
//! files and memory come back.
//!
//! Must not know: how the server lets connections in.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use proto::etcdserverpb as pb;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use services::etcdserverpb::kv_client::KvClient;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::{Outcome, Plan, guard};
use crate::process::{Kind, Member, POLL, Programs, cluster, dial, free_ports};

/// How long short connections are made, for each unit of the plan's scale.
const SHORT_FOR: Duration = Duration::from_millis(1500);
/// At a time.
const SHORT_AT_A_TIME: usize = 32;
/// Fewer than this in a second would be no load.
const SHORT_PER_SECOND_MIN: u64 = 20;
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// What the kernel is told to let the member open.
const FILES: u64 = 256;
/// Puts of a megabyte.
const PUTS: u8 = 140;
/// What a member needs a moment for.
const PATIENCE: Duration = Duration::from_secs(20);
const READ_WITHIN: Duration = Duration::from_secs(3);

/// All of them, each on a member of its own.
pub(super) async fn run(
    programs: &Programs,
    folder: &Path,
    plan: &Plan,
    outcome: &mut Outcome,
) -> Result<()> {
    let held = short_connections(programs, &folder.join("short"), plan).await;
    outcome.check(59, "thousands of short TLS connections", held);
    for (name, whose) in [
        ("no files left for clients", Port::Client),
        ("no files left because of the peers' port", Port::Peer),
    ] {
        let held = without_files(programs, &folder.join(name), whose).await;
        outcome.check(60, name, held);
    }
    Ok(())
}

/// A certificate that signs itself, in files, and a client's rules that believe it alone.
fn certificate(folder: &Path) -> Result<(Vec<String>, Arc<rustls::ClientConfig>)> {
    let key = KeyPair::generate()?;
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    let certificate = params.self_signed(&key)?;
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("cert.key"));
    std::fs::write(&cert_file, certificate.pem())?;
    std::fs::write(&key_file, key.serialize_pem())?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut rules = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    rules.alpn_protocols = vec![b"h2".to_vec()];
    let flags = vec![
        format!("--cert-file={}", cert_file.display()),
        format!("--key-file={}", key_file.display()),
    ];
    Ok((flags, Arc::new(rules)))
}

async fn short_connections(programs: &Programs, folder: &Path, plan: &Plan) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let (flags, rules) = certificate(folder)?;
    let tls_port = free_ports(1)?[0];
    let mut member = cluster(programs, Kind::Engram, folder, 1, &[])?.remove(0);
    flags.into_iter().for_each(|flag| member.add_argument(flag));
    let both = format!("{},https://127.0.0.1:{tls_port}", member.client_url());
    member.add_argument(format!("--listen-client-urls={both}"));
    member.start()?;
    member.ready().await?;
    let (before, files) = (guard::before(&member).await?, open_files(&member));
    let (made, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let until = began + SHORT_FOR * plan.scale;
    let mut workers = JoinSet::new();
    for _ in 0..SHORT_AT_A_TIME {
        let (connector, made) = (TlsConnector::from(Arc::clone(&rules)), Arc::clone(&made));
        workers.spawn(async move {
            while Instant::now() < until {
                let stream = TcpStream::connect(("127.0.0.1", tls_port)).await?;
                let name = ServerName::try_from("127.0.0.1")?;
                drop(connector.connect(name, stream).await.context("a handshake")?);
                made.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    let mut slowest = Duration::ZERO;
    while Instant::now() < until {
        slowest = slowest.max(guard::read(&member).await?);
        crate::pause::pause(10 * POLL).await;
    }
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    let (made, seconds) = (made.load(Ordering::Relaxed), began.elapsed().as_secs_f64());
    println!("  {made} TLS connections in {seconds:.1} s; the slowest read {slowest:?}");
    ensure!(made as f64 / seconds > SHORT_PER_SECOND_MIN as f64, "only {made} connections");
    ensure!(slowest <= READ_WITHIN, "a read took {slowest:?}");
    few_files(&member, files + 8).await?;
    guard::after(&member, before, GROWTH_BYTES_MAX).await
}

/// How many files a member has open.
fn open_files(member: &Member) -> usize {
    let folder = member.pid().map(|pid| format!("/proc/{pid}/fd"));
    folder.and_then(|folder| std::fs::read_dir(folder).ok()).map_or(0, Iterator::count)
}

async fn few_files(member: &Member, most: usize) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while open_files(member) > most {
        let open = open_files(member);
        ensure!(Instant::now() < deadline, "{open} files are open, {most} are expected");
        crate::pause::pause(POLL).await;
    }
    Ok(())
}

/// Which port is flooded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Client,
    Peer,
}

/// A member with few files is dialled by more than it may let in, while somebody writes; when they
/// are gone it serves as before.
async fn without_files(programs: &Programs, folder: &Path, whose: Port) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let member = &cluster(programs, Kind::Engram, folder, 1, &[])?[0];
    let url = member.client_url().to_owned();
    let limited = format!("ulimit -n {FILES}; exec \"$0\" \"$@\"");
    let mut arguments = vec!["-c".to_owned(), limited, programs.engram.display().to_string()];
    arguments.extend(member.arguments().iter().cloned());
    let peer_port = member.arguments().iter().find_map(|flag| {
        flag.strip_prefix("--listen-peer-urls=")?.rsplit(':').next()?.parse().ok()
    });
    let client_port = url.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let mut member = Member::new("sh".into(), arguments, folder.join("log"), url);
    member.start()?;
    member.ready().await?;
    let port = if whose == Port::Client { client_port } else { peer_port };
    let port = port.context("a port")?;
    // Somebody who was there before.
    let mut kv = KvClient::new(dial(member.client_url()).await?);
    let resident = member.resident_bytes();
    let mut open = Vec::new();
    for _ in 0..2 * FILES {
        let connecting = TcpStream::connect(("127.0.0.1", port));
        // The kernel holds some; more are not answered.
        match tokio::time::timeout(Duration::from_millis(200), connecting).await {
            Ok(Ok(stream)) => open.push(stream),
            Ok(Err(_)) | Err(_) => break,
        }
    }
    ensure!(open.len() as u64 > FILES, "only {} connections were made", open.len());
    // Enough for new files of the log and of the state.
    for number in 0..PUTS {
        let value = vec![number; 1 << 20].into();
        let put = pb::PutRequest { key: "a".into(), value, ..Default::default() };
        let put = tokio::time::timeout(PATIENCE, kv.put(put)).await;
        put.context("a put hangs")?.with_context(|| format!("put {number}: {}", member.tail()))?;
    }
    drop(open);
    let deadline = Instant::now() + PATIENCE;
    while guard::read(&member).await.is_err() {
        ensure!(Instant::now() < deadline, "nobody is let in afterwards");
        crate::pause::pause(POLL).await;
    }
    let grown = member.resident_bytes().saturating_sub(resident);
    ensure!(grown <= 4 * GROWTH_BYTES_MAX, "its memory grew by {} MiB", grown >> 20);
    guard::quiet_log(&member)?;
    let range = pb::RangeRequest { key: "a".into(), ..Default::default() };
    let read = kv.range(range).await?.into_inner();
    let value = read.kvs.first().map(|pair| pair.value.clone()).unwrap_or_default();
    ensure!(value.first() == Some(&(PUTS - 1)), "the last put is not there");
    member.kill()
}
