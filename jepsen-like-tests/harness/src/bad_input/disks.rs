//! Row 50 on a member that runs: its disk is full, takes no byte of the log, or fails a sync.
//!
//! The disk of the first three is one process's own: a few lines of C that are preloaded. The last
//! is a file system of its own, full to the last block, seen by nobody else: it is skipped, and
//! that is told, where mounting is not permitted.
//!
//! Invariants: a write that met the failure is never acknowledged; the member ends with one line
//! that names the file and the cause; no sync is tried again; with room again everything that was
//! acknowledged is there.
//!
//! Must not know: which file is written when.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use proto::etcdserverpb as pb;
use rand::{RngCore as _, SeedableRng as _};
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;

use super::{Outcome, clock, guard};
use crate::process::{Kind, Member, POLL, Programs, cluster, dial};

/// Before the disk fails.
const PUTS_BEFORE: u64 = 5;
/// A member may take some more into memory and into what it has of the log.
const PUTS_MAX: u64 = 20;
const VALUE_BYTES: usize = 200_000;
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
const ENDED_WITHIN: Duration = Duration::from_secs(30);
/// The file system: room for a member's log and some state.
const DISK: &str = "200M";

const MOUNTED: &str = "a full file system";
const NO_ROOM: &str = "No space left on device";

/// What is preloaded says, by the name of a check, and the cause that must be told.
const CASES: &[(&str, &str, &str)] = &[
    ("a disk that gets full", "grow", NO_ROOM),
    ("a disk without room for the log", "log", NO_ROOM),
    ("a disk that fails a sync", "sync", "Input/output error"),
];

/// A member whose disk can be made to fail, and the same member on a sound one.
struct Disk {
    failing: Member,
    healed: Member,
    fails: Fails,
}

/// How its disk is made to fail.
enum Fails {
    /// This word is written here.
    Told(PathBuf, &'static str),
    /// This file takes all the room.
    Filled(PathBuf),
}

/// All of them at once: most of it is waiting.
pub(super) async fn run(programs: &Programs, folder: &Path, outcome: &mut Outcome) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let folder = &folder.canonicalize()?;
    let shim = &clock::preloaded(folder, "room", include_str!("room.c"))?;
    let runs = CASES.iter().map(|(name, says, cause)| async move {
        let disk = preloaded(programs, &folder.join(says), shim, says)?;
        anyhow::Ok((*name, fails(disk, cause).await))
    });
    let runs = futures::future::join_all(runs);
    let start = folder.join("start");
    let (runs, started) = tokio::join!(runs, starts_full(programs, &start, shim));
    for run in runs {
        let (name, held) = run?;
        outcome.check(50, name, held);
    }
    outcome.check(50, "a start on a full disk", started);
    match own_disk(programs, &folder.join("own"))? {
        Ok(disk) => outcome.check(50, MOUNTED, fails(disk, NO_ROOM).await),
        Err(why) => outcome.skip(50, MOUNTED, &why),
    }
    Ok(())
}

/// A member whose calls to the disk go through what is preloaded.
fn preloaded(programs: &Programs, folder: &Path, shim: &Path, says: &'static str) -> Result<Disk> {
    std::fs::create_dir_all(folder)?;
    let healed = cluster(programs, Kind::Engram, folder, 1, &[])?.remove(0);
    let told = folder.join("told");
    let before = vec![
        format!("LD_PRELOAD={}", shim.display()),
        format!("ROOM_TOLD={}", told.display()),
        format!("ROOM_UNDER={}", folder.join("m0/").display()),
    ];
    let failing = run_by("env", before, programs, &healed);
    Ok(Disk { failing, healed, fails: Fails::Told(told, says) })
}

/// The same member, run by another program.
fn run_by(program: &str, mut before: Vec<String>, programs: &Programs, sound: &Member) -> Member {
    before.push(programs.engram.display().to_string());
    before.extend(sound.arguments().iter().cloned());
    let url = sound.client_url().to_owned();
    Member::new(program.into(), before, sound.log().to_owned(), url)
}

/// A member on a file system of its own, in a file, that only its process sees; or why there can be
/// none.
fn own_disk(programs: &Programs, folder: &Path) -> Result<Result<Disk, String>> {
    std::fs::create_dir_all(folder.join("m0"))?;
    let (image, mounted) = (folder.join("image"), folder.join("m0"));
    let shell = |script: String| {
        let script = format!(
            "set -e; PATH=$PATH:/usr/sbin:/sbin; mount -o loop {} {}; {script}",
            image.display(),
            mounted.display()
        );
        vec!["--mount".to_owned(), "sh".to_owned(), "-c".to_owned(), script]
    };
    let made = format!(
        "PATH=$PATH:/usr/sbin:/sbin; truncate -s {DISK} {0} && mkfs.ext4 -q -F -m 0 {0}",
        image.display()
    );
    let made = Command::new("sh").args(["-c", &made]).output()?;
    let tried = Command::new("unshare").args(shell("true".to_owned())).output();
    match (made, tried) {
        (made, Ok(tried)) if made.status.success() && tried.status.success() => {}
        (made, tried) => {
            let tried = tried.map(|tried| tried.stderr).unwrap_or_default();
            let told = [made.stderr, tried].concat();
            return Ok(Err(String::from_utf8_lossy(&told).trim().to_owned()));
        }
    }
    let mut sound = cluster(programs, Kind::Engram, folder, 1, &[])?.remove(0);
    // The root of a file system has a folder of its own in it.
    sound.add_argument(format!("--data-dir={}", mounted.join("data").display()));
    let ballast = mounted.join("ballast");
    let started = |script: &str| {
        run_by("unshare", shell(format!("{script} exec \"$0\" \"$@\"")), programs, &sound)
    };
    let (failing, healed) = (started(""), started(&format!("rm {};", ballast.display())));
    Ok(Ok(Disk { failing, healed, fails: Fails::Filled(ballast) }))
}

impl Fails {
    /// From now on.
    fn begin(&self, member: &Member) -> Result<()> {
        let ballast = match self {
            Fails::Told(told, says) => return Ok(std::fs::write(told, says)?),
            Fails::Filled(ballast) => format!("of={}", ballast.display()),
        };
        let pid = member.pid().context("it runs")?.to_string();
        let mut fill = Command::new("nsenter");
        fill.args(["--mount", "--target", &pid, "dd", "if=/dev/zero", &ballast, "bs=64k"]);
        let filled = fill.output()?;
        let told = String::from_utf8_lossy(&filled.stderr);
        ensure!(told.contains(NO_ROOM), "there is still room: {told}");
        Ok(())
    }

    /// What came of it, and no more.
    fn end(&self) -> Result<()> {
        let Fails::Told(told, says) = self else { return Ok(()) };
        std::fs::remove_file(told)?;
        if *says == "sync" {
            let tries = std::fs::read_to_string(told.with_extension("syncs"))?.lines().count();
            ensure!(tries == 1, "the sync that failed was tried {tries} times");
        }
        Ok(())
    }
}

/// The value of a put: nothing that could be packed.
fn value(number: u64) -> Vec<u8> {
    let mut value = vec![0; VALUE_BYTES];
    rand_chacha::ChaCha8Rng::seed_from_u64(number).fill_bytes(&mut value);
    value
}

fn key(number: u64) -> String {
    format!("k{number:03}")
}

async fn fails(mut disk: Disk, cause: &str) -> Result<()> {
    let member = &mut disk.failing;
    member.start()?;
    member.ready().await?;
    let channel = dial(member.client_url()).await?;
    let (mut kv, mut maintenance) =
        (KvClient::new(channel.clone()), MaintenanceClient::new(channel));
    let mut acknowledged = 0;
    loop {
        if acknowledged == PUTS_BEFORE {
            disk.fails.begin(member)?;
        }
        let (key, value) = (key(acknowledged).into(), value(acknowledged).into());
        let put = kv.put(pb::PutRequest { key, value, ..Default::default() });
        match tokio::time::timeout(ANSWER_WITHIN, put).await.context("a put hangs")? {
            Ok(_) => acknowledged += 1,
            Err(_) => break,
        }
        ensure!(acknowledged < PUTS_MAX, "{acknowledged} puts are acknowledged");
        // What memory and log had room for is to be written to the state.
        if acknowledged > PUTS_BEFORE {
            let written = maintenance.defragment(pb::DefragmentRequest {}).await;
            ensure!(written.is_err(), "a defragmentation without room");
        }
    }
    ensure!(acknowledged >= PUTS_BEFORE, "put {acknowledged}: {}", member.tail());
    one_line(member, cause).await?;
    disk.fails.end()?;
    let member = &mut disk.healed;
    member.start()?;
    member.ready().await.context("with room again")?;
    let mut kv =
        KvClient::new(dial(member.client_url()).await?).max_decoding_message_size(2 * VALUE_BYTES);
    for number in 0..acknowledged {
        let range = pb::RangeRequest { key: key(number).into(), ..Default::default() };
        let found = kv.range(range).await?.into_inner().kvs.pop().map(|pair| pair.value);
        let same = found.is_some_and(|found| *found == value(number)[..]);
        ensure!(same, "put {number} of {acknowledged} was acknowledged, and is not there");
    }
    kv.put(pb::PutRequest { key: "a".into(), value: "b".into(), ..Default::default() }).await?;
    guard::quiet_log(member)?;
    member.kill()
}

/// A fresh member on a disk without any room does not start, and does when there is some.
async fn starts_full(programs: &Programs, folder: &Path, shim: &Path) -> Result<()> {
    let mut disk = preloaded(programs, folder, shim, "grow")?;
    disk.fails.begin(&disk.failing)?;
    disk.failing.start()?;
    one_line(&mut disk.failing, NO_ROOM).await?;
    disk.fails.end()?;
    disk.healed.start()?;
    disk.healed.ready().await.context("with room again")?;
    disk.healed.kill()
}

/// The member ends by itself with code 1, and tells in one line which file it was, and why.
async fn one_line(member: &mut Member, cause: &str) -> Result<()> {
    let deadline = Instant::now() + ENDED_WITHIN;
    let status = loop {
        if let Some(status) = member.status()? {
            break status;
        }
        ensure!(Instant::now() < deadline, "the member does not end: {}", member.tail());
        crate::pause::pause(POLL).await;
    };
    guard::quiet_log(member)?;
    let output = String::from_utf8_lossy(&std::fs::read(member.log())?).into_owned();
    let lines: Vec<_> = output.lines().filter(|line| line.starts_with("engram: ")).collect();
    let [line] = lines.as_slice() else { bail!("{} lines instead of one: {output}", lines.len()) };
    let named = line.contains("/m0/") && line.contains(cause);
    ensure!(status.code() == Some(1) && named, "{status}, {line}");
    Ok(())
}
