//! Row 58: members whose wall clock stands at the beginning of Unix time, or passes the end of 32
//! bits of seconds, or of 64 bits of nanoseconds.
//!
//! The clock is one process's own: a few lines of C that are preloaded, built with the compiler
//! that built the server's own C.
//!
//! Invariants: the member serves, a lease ends in its time and not before, and what was written is
//! there after a restart with the true clock.
//!
//! Must not know: where a server reads the time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use proto::etcdserverpb as pb;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;

use super::{Outcome, guard};
use crate::gateway::http::ask;
use crate::process::{Kind, Member, POLL, Programs, cluster, dial};

/// Name, and the second of Unix time at which a member starts: the last two are passed while it
/// runs.
const CLOCKS: &[(&str, u64)] = &[
    ("a clock at 1970", 10),
    ("a clock at 2038", (1 << 31) - 4),
    ("a clock at 2262", 9_223_372_036 - 4),
];

const LEASE_SECONDS: i64 = 3;
/// After its time a lease is gone within this: the scan's interval, an election at the start, and a
/// loaded machine.
const GONE_WITHIN: Duration = Duration::from_secs(20);

/// All clocks at once: most of it is waiting.
pub(super) async fn run(programs: &Programs, folder: &Path, outcome: &mut Outcome) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let shim = preloaded(folder, "clock", include_str!("clock.c"))?;
    let runs = CLOCKS.iter().map(|(name, second)| {
        let folder = folder.join(second.to_string());
        let shim = shim.clone();
        async move { (*name, lives(programs, &folder, &shim, *second).await) }
    });
    for (name, held) in futures::future::join_all(runs).await {
        outcome.check(58, name, held);
    }
    Ok(())
}

/// Builds what is preloaded from its source.
pub(super) fn preloaded(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let (source, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    std::fs::write(&source, text)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
    let output = compiler.arg("-ldl").output().context("no C compiler")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(library)
}

async fn lives(programs: &Programs, folder: &Path, shim: &Path, second: u64) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let shift = i64::try_from(second)? - i64::try_from(now)?;
    let flags = ["--auto-compaction-retention=1h", "--log-level=debug"];
    let mut sound = cluster(programs, Kind::Engram, folder, 1, &flags)?.remove(0);
    let mut arguments = vec![
        format!("LD_PRELOAD={}", shim.display()),
        format!("CLOCK_SHIFT_SECONDS={shift}"),
        programs.engram.display().to_string(),
    ];
    arguments.extend(sound.arguments().iter().cloned());
    let url = sound.client_url().to_owned();
    let mut member = Member::new("env".into(), arguments, folder.join("log"), url);
    member.start()?;
    member.ready().await?;
    let log = std::fs::read_to_string(member.log())?;
    let year = ["1970-01-01T", "2038-01-19T", "2262-04-11T"];
    ensure!(year.iter().any(|year| log.contains(year)), "the clock is not wrong: {log}");
    let before = guard::before(&member).await?;
    uses(&member).await?;
    guard::after(&member, before.with_pairs_of(&member).await?, 64 << 20).await?;
    let held = guard::before(&member).await?;
    member.terminate().await?;
    sound.start()?;
    sound.ready().await?;
    guard::after(&sound, held, 256 << 20).await?;
    sound.kill()
}

/// Pairs, a lease that ends, a snapshot, the pages.
async fn uses(member: &Member) -> Result<()> {
    let channel = dial(member.client_url()).await?;
    let (mut kv, mut lease) = (KvClient::new(channel.clone()), LeaseClient::new(channel.clone()));
    lease.lease_grant(pb::LeaseGrantRequest { id: 7, ttl: LEASE_SECONDS }).await?;
    let granted = Instant::now();
    let put = |key: &'static str, lease| pb::PutRequest {
        key: key.into(),
        value: "v".into(),
        lease,
        ..Default::default()
    };
    kv.put(put("leased", 7)).await?;
    kv.put(put("a", 0)).await?;
    let mut pieces =
        MaintenanceClient::new(channel).snapshot(pb::SnapshotRequest {}).await?.into_inner();
    while pieces.message().await?.is_some() {}
    for page in ["/metrics", "/health", "/version"] {
        let answer = ask(member.client_url(), "GET", page, "", b"").await?;
        ensure!(answer.code == 200, "{page}: {answer:?}");
    }
    loop {
        let range = pb::RangeRequest { key: "leased".into(), ..Default::default() };
        if kv.range(range).await?.into_inner().count == 0 {
            break;
        }
        ensure!(granted.elapsed() < GONE_WITHIN, "the lease does not end");
        crate::pause::pause(POLL).await;
    }
    let time = Duration::from_secs(u64::try_from(LEASE_SECONDS)?);
    ensure!(granted.elapsed() >= time, "the lease ended after {:?}", granted.elapsed());
    Ok(())
}
