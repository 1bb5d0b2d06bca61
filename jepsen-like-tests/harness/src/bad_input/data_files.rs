//! Rows 53 to 56: a member's own files damaged, lost, or put back from an older day.
//!
//! Invariants: a member on damaged files ends with one clear line and leaves them as they are, or
//! it serves what it served before, every pair of it; there is no third way, and no panic.
//!
//! Must not know: what a file's bytes mean.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use proto::etcdserverpb as pb;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;

use super::{Outcome, Plan, fresh};
use crate::process::{Kind, Member, POLL, Programs, dial};

/// Bits turned in each kind of file, for each unit of the plan's scale.
const FLIPS: usize = 3;
/// A member that served nobody for so long will not.
const SILENT_FOR: Duration = Duration::from_secs(4);
const DECIDED_WITHIN: Duration = Duration::from_secs(30);

/// What a member answered when it was whole.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    hash: u32,
    pairs: Vec<(Vec<u8>, i64)>,
}

/// What a start on damaged files may come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Refuse,
    RefuseOrServeAll,
    /// It may also wait for peers that never come.
    NotServe,
}

/// How a start on damaged files went.
#[derive(Debug)]
enum End {
    /// It ended, with these words.
    Refused(String),
    /// It serves, and everything is there.
    Same,
    /// It answers nobody.
    Waits,
}

/// A stopped member's files, and how it is started.
struct Sound<'a> {
    member: Member,
    data: PathBuf,
    kept: PathBuf,
    held: Held,
    outcome: &'a mut Outcome,
}

/// All of them.
pub(super) async fn run(
    programs: &Programs,
    folder: &Path,
    plan: &Plan,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut member = fresh(programs, Kind::Engram, &folder.join("own"), &[]).await?;
    write(&member, 0).await?;
    member.terminate().await?;
    let (data, kept) = (folder.join("own/m0"), folder.join("kept"));
    // What an older day had.
    let older = folder.join("older");
    copy(&data, &older)?;
    member.start()?;
    member.ready().await?;
    write(&member, 1000).await?;
    let held = held(&member).await?;
    member.terminate().await?;
    copy(&data, &kept)?;
    let mut stranger = fresh(programs, Kind::Engram, &folder.join("stranger"), &[]).await?;
    stranger.terminate().await?;
    let mut sound = Sound { member, data, kept, held, outcome };
    let flips = FLIPS * plan.scale as usize;
    sound.flipped(53, "bits turned in the log", "member/raft", ".log", flips).await?;
    sound.flipped(56, "bits turned in the tables", "member/state", ".sst", flips).await?;
    sound.flipped(54, "bits turned in the manifest", "member/state", "MANIFEST", flips).await?;
    for (row, name, what) in [
        (53, "the log's file lost", "member/raft/0000000000000001.log"),
        (53, "the log's folder lost", "member/raft"),
        (55, "the member's identity lost", "member/raft/identity"),
        (54, "the pointer to the state lost", "member/state/CURRENT"),
        (54, "the state lost", "member/state/1"),
        (54, "the manifest's pointer lost", "member/state/1/CURRENT"),
    ] {
        let path = sound.data.join(what);
        let removed = match path.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
        removed.with_context(|| what.to_owned())?;
        sound.starts(row, name, Must::Refuse).await?;
    }
    let others = folder.join("stranger/m0");
    for (row, name, from, what, must) in [
        (53, "another member's log", &others, "member/raft", Must::NotServe),
        (54, "an older state", &older, "member/state", Must::RefuseOrServeAll),
        (55, "an older log, with its votes", &older, "member/raft", Must::RefuseOrServeAll),
    ] {
        std::fs::remove_dir_all(sound.data.join(what))?;
        copy(&from.join(what), &sound.data.join(what))?;
        sound.starts(row, name, must).await?;
    }
    Ok(())
}

impl Sound<'_> {
    /// Turns one bit at a time, at places spread over the files.
    async fn flipped(
        &mut self,
        row: u8,
        name: &str,
        folder: &str,
        files: &str,
        flips: usize,
    ) -> Result<()> {
        let found = found(&self.data.join(folder), files)?;
        let lengths = found.iter().map(|file| used(file));
        let lengths = lengths.collect::<Result<Vec<_>>>()?;
        let total: usize = lengths.iter().sum();
        ensure!(total > flips, "{name}: {total} bytes in {} files", found.len());
        for flip in 0..flips {
            let mut at = total / flips * flip + total / flips / 2;
            let which = lengths.iter().position(|length| {
                let here = at < *length;
                at -= if here { 0 } else { *length };
                here
            });
            let file = &found[which.context("a place in a file")?];
            let mut bytes = std::fs::read(file)?;
            bytes[at] ^= 1 << (flip % 8);
            std::fs::write(file, bytes)?;
            self.starts(row, name, Must::RefuseOrServeAll).await?;
        }
        Ok(())
    }

    /// Starts the member on what is there; afterwards the sound files are put back.
    async fn starts(&mut self, row: u8, name: &str, must: Must) -> Result<()> {
        let log = self.member.log().to_owned();
        drop(std::fs::remove_file(&log));
        let end = self.end(must).await;
        let output = std::fs::read(&log).unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        let held = match end {
            _ if output.contains("panicked") => Err(format!("a panic: {output}")),
            Ok(End::Same) if must != Must::RefuseOrServeAll => {
                Err("it serves as if nothing were lost".to_owned())
            }
            Ok(End::Refused(told)) if !told.starts_with("engram: ") => {
                Err(format!("it ended without a clear line: {told}"))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{error:#}")),
        };
        self.outcome.check(row, name, held);
        drop(self.member.kill());
        std::fs::remove_dir_all(&self.data)?;
        copy(&self.kept, &self.data)
    }

    async fn end(&mut self, must: Must) -> Result<End> {
        self.member.start()?;
        let began = Instant::now();
        let deadline = began + DECIDED_WITHIN;
        loop {
            if must == Must::NotServe && began.elapsed() > SILENT_FOR {
                return Ok(End::Waits);
            }
            if let Some(end) = self.refusal()? {
                return Ok(end);
            }
            let served = self.served().await;
            match served {
                Ok(Some(held)) if held == self.held => return Ok(End::Same),
                Ok(Some(held)) => bail!("it serves something else: {}", shown(&held, &self.held)),
                // A read that meets the damage ends the member, or is refused.
                Ok(None) => {}
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => {}
            }
            ensure!(Instant::now() < deadline, "neither ends nor serves: {}", self.member.tail());
            crate::pause::pause(POLL).await;
        }
    }

    /// How it ended, if it did: its last line on standard error.
    fn refusal(&mut self) -> Result<Option<End>> {
        let Some(status) = self.member.status()? else { return Ok(None) };
        let tail = self.member.tail();
        ensure!(status.code().is_some_and(|code| code != 0), "{status}: {tail}");
        Ok(Some(End::Refused(tail.lines().last().unwrap_or_default().to_owned())))
    }

    /// Everything, when it answers.
    async fn served(&self) -> Result<Option<Held>> {
        if dial(self.member.client_url()).await.is_err() {
            return Ok(None);
        }
        held(&self.member).await.map(Some)
    }
}

fn shown(found: &Held, wanted: &Held) -> String {
    let (found, wanted) = (found.pairs.len(), wanted.pairs.len());
    format!("{found} pairs instead of {wanted}, or others")
}

/// Pairs, some deleted, some compacted away.
async fn write(member: &Member, from: u32) -> Result<()> {
    let mut kv = KvClient::new(dial(member.client_url()).await?);
    let mut revision = 0;
    for number in from..from + 60 {
        let value = vec![u8::try_from(number % 251)?; 2000].into();
        let key = format!("k{}", number % 40).into();
        let put = pb::PutRequest { key, value, ..Default::default() };
        let answer = kv.put(put).await?.into_inner();
        revision = answer.header.map_or(0, |header| header.revision);
    }
    kv.delete_range(pb::DeleteRangeRequest { key: "k7".into(), ..Default::default() }).await?;
    let compact = pb::CompactionRequest { revision: revision - 5, physical: true };
    kv.compact(compact).await?;
    Ok(())
}

/// All pairs and the hash of their history.
async fn held(member: &Member) -> Result<Held> {
    let channel = dial(member.client_url()).await?;
    let range = pb::RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() };
    let mut kv = KvClient::new(channel.clone()).max_decoding_message_size(usize::MAX);
    let pairs = kv.range(range).await?.into_inner().kvs;
    let pairs = pairs
        .into_iter()
        .map(|pair| ([pair.key.as_ref(), b"=", pair.value.as_ref()].concat(), pair.mod_revision));
    let pairs = pairs.collect();
    let mut maintenance = MaintenanceClient::new(channel);
    let answer = maintenance.hash_kv(pb::HashKvRequest { revision: 0 }).await?.into_inner();
    Ok(Held { hash: answer.hash, pairs })
}

/// The files under a folder whose names hold this, in order.
pub(super) fn found(folder: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if file.contains(name) && used(&path)? > 0 {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Bytes up to the last that is not zero.
fn used(file: &Path) -> Result<usize> {
    let bytes = std::fs::read(file)?;
    Ok(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1))
}

/// A copy that takes no room for zeros at the end of a file.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("a name")?);
        if path.is_dir() {
            copy(&path, &target)?;
            continue;
        }
        let bytes = std::fs::read(&path)?;
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let mut file = File::create(&target)?;
        file.write_all(&bytes[..used])?;
        file.set_len(bytes.len() as u64)?;
    }
    Ok(())
}
