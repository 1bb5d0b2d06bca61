//! Row 56 on a member that runs: bits of the state's tables are turned while it reads, compacts,
//! defragments and makes snapshots, all at once.
//!
//! Invariants: every answer is the right one or an error, also in a snapshot, which is whole or
//! does not come to its end; the member lives, or ends with one clear line; a restart on what is
//! left serves every pair, or nothing.
//!
//! Must not know: what a table's bytes mean.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use proto::etcdserverpb as pb;
use rand::{RngCore as _, SeedableRng as _};
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::transport::Channel;

use super::data_files::{copy, found};
use super::{Outcome, Plan, fresh, guard};
use crate::process::{Kind, Member, POLL, Programs, dial};

/// Members that are damaged, for each unit of the plan's scale.
const MEMBERS: u64 = 2;
/// Bits turned in each.
const FLIPS: usize = 6;
const KEYS: u64 = 120;
/// Puts: the older half of the history can be compacted away.
const PUTS: u64 = 240;
const VALUE_BYTES: usize = 3000;
/// How long it is asked for more while all goes on.
const ASKED_FOR: Duration = Duration::from_millis(400);
const ENDED_WITHIN: Duration = Duration::from_secs(20);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a member must answer, if anything.
type Pairs = BTreeMap<Bytes, Bytes>;

/// How often damage was met, so that checks which met none do not pass for others.
#[derive(Debug, Default)]
struct Met {
    refusals: u64,
    ended: u64,
    snapshots_refused: u64,
}

pub(super) async fn run(
    programs: &Programs,
    folder: &Path,
    plan: &Plan,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut member = fresh(programs, Kind::Engram, &folder.join("own"), &[]).await?;
    let pairs = write(&member).await?;
    member.terminate().await?;
    let (data, kept) = (folder.join("own/m0"), folder.join("kept"));
    copy(&data, &kept)?;
    let mut met = Met::default();
    for number in 0..MEMBERS * u64::from(plan.scale) {
        drop(std::fs::remove_file(member.log()));
        let held = damaged(&mut member, &data, &pairs, number, &mut met).await;
        outcome.check(56, "bits turned in the tables of a member that runs", held);
        drop(member.kill());
        std::fs::remove_dir_all(&data)?;
        copy(&kept, &data)?;
    }
    println!("  damage: {met:?}");
    let told = (met.refusals > 0 && met.snapshots_refused > 0).then_some(());
    outcome.check(56, "damage that is met is told", told.ok_or("nobody met any damage"));
    Ok(())
}

fn value(number: u64) -> Bytes {
    let mut value = vec![0; VALUE_BYTES];
    rand_chacha::ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut value);
    value.into()
}

/// Writes every key several times; what each holds in the end.
async fn write(member: &Member) -> Result<Pairs> {
    let mut kv = KvClient::new(dial(member.client_url()).await?);
    let mut pairs = Pairs::new();
    for number in 0..PUTS {
        let (key, value) = (Bytes::from(format!("k{:03}", number % KEYS)), value(number));
        pairs.insert(key.clone(), value.clone());
        kv.put(pb::PutRequest { key, value, ..Default::default() }).await?;
    }
    Ok(pairs)
}

async fn damaged(
    member: &mut Member,
    data: &Path,
    pairs: &Pairs,
    number: u64,
    met: &mut Met,
) -> Result<()> {
    member.start()?;
    member.ready().await?;
    let channel = dial(member.client_url()).await?;
    // New files, of which nothing is held in memory yet.
    ensure!(defragment(&channel).await, "a sound member is not defragmented");
    turn_bits(data, number)?;
    let work = async {
        let snapshot = async { snapshot(&channel, pairs).await };
        let (read, compacted, defragmented, snapshot) = tokio::join!(
            reads(&channel, pairs),
            compact(&channel, number),
            defragment(&channel),
            snapshot
        );
        anyhow::Ok((read?, compacted, defragmented, snapshot?))
    };
    let (refused, compacted, defragmented, snapshot) = work.await?;
    met.refusals += refused + u64::from(!compacted) + u64::from(!defragmented);
    met.snapshots_refused += u64::from(!snapshot);
    guard::quiet_log(member)?;
    // Its log may have said that it stops: then it does.
    if std::fs::read_to_string(member.log())?.contains("the member stops") {
        ended(member).await?;
        met.ended += 1;
    } else if let Some(status) = member.status()? {
        bail!("{status}, without a reason: {}", member.tail());
    } else {
        member.kill()?;
    }
    restarted(member, pairs).await
}

/// Turns bits where the tables lie, spread over them; the member has the files open.
fn turn_bits(data: &Path, number: u64) -> Result<()> {
    let files = found(&data.join("member/state"), ".sst")?;
    let lengths =
        files.iter().map(|file| Ok(file.metadata()?.len())).collect::<Result<Vec<_>>>()?;
    let total: u64 = lengths.iter().sum();
    ensure!(total > PUTS * VALUE_BYTES as u64 / 2, "the tables have {total} bytes");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(0x56 + number);
    for _ in 0..FLIPS {
        let mut at = random.next_u64() % total;
        let which = lengths.iter().position(|length| {
            let here = at < *length;
            at -= if here { 0 } else { *length };
            here
        });
        let path = &files[which.context("a place in a file")?];
        let file = std::fs::File::options().read(true).write(true).open(path)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        byte[0] ^= 1 << (random.next_u32() % 8);
        file.write_all_at(&byte, at)?;
    }
    Ok(())
}

/// Reads every key, one by one and all together, again and again; how often it was refused.
async fn reads(channel: &Channel, pairs: &Pairs) -> Result<u64> {
    let mut kv = KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    let (began, mut refused) = (Instant::now(), 0);
    while began.elapsed() < ASKED_FOR {
        let all = pb::RangeRequest {
            key: "k".into(),
            range_end: "l".into(),
            serializable: true,
            ..Default::default()
        };
        let singly = pairs.keys().step_by(7).map(|key| pb::RangeRequest {
            key: key.clone(),
            range_end: Bytes::new(),
            ..all.clone()
        });
        for request in std::iter::once(all.clone()).chain(singly) {
            let whole = !request.range_end.is_empty();
            match tokio::time::timeout(ANSWER_WITHIN, kv.range(request.clone())).await {
                Ok(Ok(answer)) => right(&answer.into_inner().kvs, &request.key, whole, pairs)?,
                Ok(Err(_)) => refused += 1,
                Err(_) => bail!("a read hangs"),
            }
        }
    }
    Ok(refused)
}

/// *Errors*: another pair than was written, or one too few.
fn right(found: &[proto::mvccpb::KeyValue], key: &Bytes, whole: bool, pairs: &Pairs) -> Result<()> {
    let wanted = if whole { pairs.len() } else { 1 };
    ensure!(found.len() == wanted, "{} pairs instead of {wanted}", found.len());
    for pair in found {
        ensure!(whole || pair.key == key, "another key than {key:?}");
        ensure!(pairs.get(&pair.key) == Some(&pair.value), "another value at {:?}", pair.key);
    }
    Ok(())
}

/// Half of the history; whether it was taken.
async fn compact(channel: &Channel, number: u64) -> bool {
    let revision = i64::try_from(PUTS / 2 - number % 7).unwrap_or(2);
    let compact = pb::CompactionRequest { revision, physical: false };
    KvClient::new(channel.clone()).compact(compact).await.is_ok()
}

async fn defragment(channel: &Channel) -> bool {
    let mut maintenance = MaintenanceClient::new(channel.clone());
    maintenance.defragment(pb::DefragmentRequest {}).await.is_ok()
}

/// Whether a snapshot came to its end. *Errors*: it did, and lacks a value.
async fn snapshot(channel: &Channel, pairs: &Pairs) -> Result<bool> {
    let mut maintenance = MaintenanceClient::new(channel.clone());
    let Ok(pieces) = maintenance.snapshot(pb::SnapshotRequest {}).await else { return Ok(false) };
    let (mut pieces, mut file) = (pieces.into_inner(), Vec::new());
    loop {
        match pieces.message().await {
            Ok(Some(piece)) => file.extend_from_slice(&piece.blob),
            Ok(None) => break,
            Err(_) => return Ok(false),
        }
    }
    // Each value lies in the file as it is; its first eight bytes are no other's.
    let start = |value: &[u8]| value.first_chunk::<8>().copied();
    let mut missing: BTreeMap<_, _> = pairs.values().map(|value| (start(value), value)).collect();
    let starts: std::collections::HashSet<_> = missing.keys().copied().collect();
    for at in 0..file.len().saturating_sub(VALUE_BYTES) {
        let here = start(&file[at..]);
        if starts.contains(&here)
            && missing.get(&here).is_some_and(|value| file[at..].starts_with(value))
        {
            missing.remove(&here);
        }
    }
    ensure!(missing.is_empty(), "a whole snapshot without {} values", missing.len());
    Ok(true)
}

/// Waits for the end that was announced: with one clear line, and no code of success.
async fn ended(member: &mut Member) -> Result<()> {
    let deadline = Instant::now() + ENDED_WITHIN;
    let status = loop {
        if let Some(status) = member.status()? {
            break status;
        }
        ensure!(
            Instant::now() < deadline,
            "it says that it stops, and does not: {}",
            member.tail()
        );
        crate::pause::pause(POLL).await;
    };
    let output = std::fs::read_to_string(member.log())?;
    let lines = output.lines().filter(|line| line.starts_with("engram: ")).count();
    ensure!(status.code() == Some(1) && lines == 1, "{status}, {lines} lines: {}", member.tail());
    Ok(())
}

/// A start on what is left: every pair, an error for each that is asked for, or no start.
async fn restarted(member: &mut Member, pairs: &Pairs) -> Result<()> {
    member.start()?;
    let deadline = Instant::now() + ENDED_WITHIN;
    loop {
        if member.status()?.is_some() {
            guard::quiet_log(member)?;
            let tail = member.tail();
            let told = tail.lines().last().is_some_and(|line| line.starts_with("engram: "));
            ensure!(told, "it ended without a clear line: {tail}");
            return Ok(());
        }
        let all = pb::RangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() };
        if let Ok(channel) = dial(member.client_url()).await {
            let mut kv = KvClient::new(channel).max_decoding_message_size(usize::MAX);
            match kv.range(all).await {
                Ok(answer) => return right(&answer.into_inner().kvs, &Bytes::new(), true, pairs),
                // It has no leader yet, or is about to end.
                Err(status) if status.code() == tonic::Code::Unavailable => {}
                Err(_) => return Ok(()),
            }
        }
        ensure!(Instant::now() < deadline, "neither ends nor answers: {}", member.tail());
        crate::pause::pause(POLL).await;
    }
}
