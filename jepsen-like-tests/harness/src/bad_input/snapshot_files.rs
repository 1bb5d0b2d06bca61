//! Row 52: files of snapshots that are cut off, altered, without their checksum, or whose pages go
//! round in a circle, given to `engram util`.
//!
//! Invariants: every file is refused with a clean code and a line that names it, within a bounded
//! memory, and leaves no directory; the sound file beside them is taken.
//!
//! Must not know: more of the pages than where a bucket's row is.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use proto::etcdserverpb as pb;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;

use super::{Outcome, Plan, fresh};
use crate::process::{Kind, Member, Programs, dial};

const PAGE: usize = 4096;
/// SHA-256 behind the pages.
const TRAILER: usize = 32;
/// Memory that is the tool's own, in KiB: no page may make it take more.
const DATA_KIB_MAX: u64 = 600 * 1024;
/// Places that are cut or altered, for each unit of the plan's scale.
const PLACES: usize = 12;

/// Snapshots of both servers, damaged in every way.
pub(super) async fn run(
    programs: &Programs,
    folder: &Path,
    plan: &Plan,
    outcome: &mut Outcome,
) -> Result<()> {
    for kind in [Kind::Etcd, Kind::Engram] {
        let place = folder.join(format!("{kind:?}"));
        let mut member = fresh(programs, kind, &place, &[]).await?;
        let file = saved(&member).await?;
        member.kill()?;
        let tool = Tool { programs, folder: &place };
        let cut = (0..file.len()).step_by(PAGE).collect::<Vec<_>>();
        let most = PLACES * plan.scale as usize;
        let (step, seen) = (cut.len().div_ceil(most).max(1), cut.len());
        let held = cut.iter().step_by(step).try_for_each(|length| {
            tool.refuses(&file[..*length], &[]).with_context(|| format!("cut at {length}"))
        });
        outcome.check(52, "a snapshot cut at its pages", held);
        ensure!(seen > 4, "the snapshot has {seen} pages");
        let held = cut.iter().step_by(step).try_for_each(|at| {
            let mut file = file.clone();
            file[at + 20] ^= 0x10;
            tool.refuses(&file, &[]).with_context(|| format!("altered at {at}"))
        });
        outcome.check(52, "a snapshot with a bit turned", held);
        let pages = &file[..file.len() - TRAILER];
        let held = tool.refuses(pages, &[]);
        outcome.check(52, "a snapshot without its checksum", held);
        let held = circular(pages).and_then(|file| tool.refuses(&file, &["--skip-hash-check"]));
        outcome.check(52, "a snapshot whose pages go in a circle", held);
        let held = tool.restore(&file, &[]).and_then(|(code, told)| {
            ensure!(code == Some(0), "code {code:?}: {told}");
            Ok(())
        });
        outcome.check(52, "a sound snapshot", held);
        let held = tool.restore_onto_files(&file);
        outcome.check(51, "a restore into a directory with files", held);
    }
    Ok(())
}

/// Some history, and a snapshot of it.
async fn saved(member: &Member) -> Result<Vec<u8>> {
    let channel = dial(member.client_url()).await?;
    let mut kv = KvClient::new(channel.clone());
    for number in 0..60 {
        let value = vec![b'v'; 1000].into();
        let put = pb::PutRequest { key: format!("k{number}").into(), value, ..Default::default() };
        kv.put(put).await?;
    }
    let mut client = MaintenanceClient::new(channel);
    let mut pieces = client.snapshot(pb::SnapshotRequest {}).await?.into_inner();
    let mut file = Vec::new();
    while let Some(piece) = pieces.message().await? {
        file.extend_from_slice(&piece.blob);
    }
    Ok(file)
}

/// The file with every bucket's root set to the page that holds the buckets.
///
/// *Source*: bbolt's pages: a meta page has its root behind magic, version, page size and flags; a
/// leaf has rows of flags, position, key's and value's length; a bucket's value begins with its
/// root.
fn circular(pages: &[u8]) -> Result<Vec<u8>> {
    let mut file = pages.to_vec();
    let number = |file: &[u8], at: usize, bytes: usize| -> Result<usize> {
        let bytes = file.get(at..at + bytes).context("beyond the end")?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    };
    let transaction = |file: &[u8], page: usize| number(file, page * PAGE + 16 + 48, 8);
    let newest = usize::from(transaction(&file, 1)? > transaction(&file, 0)?);
    let root = number(&file, newest * PAGE + 16 + 16, 8)?;
    let rows = number(&file, root * PAGE + 10, 2)?;
    ensure!(rows > 0, "no bucket");
    for row in 0..rows {
        let at = root * PAGE + 16 + row * 16;
        let (position, key) = (number(&file, at + 4, 4)?, number(&file, at + 8, 4)?);
        let value = at + position + key;
        let bucket = file.get_mut(value..value + 8).context("a row beyond the end")?;
        bucket.copy_from_slice(&(root as u64).to_le_bytes());
    }
    Ok(file)
}

/// `engram util`, in a folder.
struct Tool<'a> {
    programs: &'a Programs,
    folder: &'a Path,
}

impl Tool<'_> {
    /// Code and words of a restore of these bytes.
    fn restore(&self, bytes: &[u8], flags: &[&str]) -> Result<(Option<i32>, String)> {
        let (file, data) = (self.folder.join("given.db"), self.folder.join("restored"));
        std::fs::write(&file, bytes)?;
        if data.exists() {
            std::fs::remove_dir_all(&data)?;
        }
        let limited = format!("ulimit -d {DATA_KIB_MAX}; exec \"$0\" \"$@\"");
        let output = Command::new("sh")
            .args(["-c", &limited])
            .arg(&self.programs.engram)
            .args(["util", "snapshot", "restore"])
            .arg(&file)
            .arg("--data-dir")
            .arg(&data)
            .args(flags)
            .output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            ensure!(!data.exists(), "a directory was left behind: {told}");
        }
        Ok((output.status.code(), told))
    }

    /// Both tools refuse, in the same words, and leave what is there.
    fn restore_onto_files(&self, bytes: &[u8]) -> Result<()> {
        let (file, data) = (self.folder.join("sound.db"), self.folder.join("full"));
        std::fs::write(&file, bytes)?;
        std::fs::create_dir_all(&data)?;
        std::fs::write(data.join("kept"), b"kept")?;
        let etcdutl = self.programs.peer("etcdutl");
        for (program, first) in [(&etcdutl, &[][..]), (&self.programs.engram, &["util"][..])] {
            let mut command = Command::new(program);
            command.args(first).args(["snapshot", "restore"]).arg(&file);
            let output = command.arg("--data-dir").arg(&data).output()?;
            let told = String::from_utf8_lossy(&output.stderr);
            let words = format!("data-dir {:?} not empty or could not be read", data.display());
            ensure!(output.status.code() == Some(1) && told.contains(&words), "{told}");
            ensure!(std::fs::read_dir(&data)?.count() == 1, "it left something there");
        }
        Ok(())
    }

    fn refuses(&self, bytes: &[u8], flags: &[&str]) -> Result<()> {
        let (code, told) = self.restore(bytes, flags)?;
        ensure!(!told.contains("panicked"), "a panic: {told}");
        ensure!(code.is_some_and(|code| code != 0), "code {code:?}: {told}");
        ensure!(told.contains("given.db"), "the file is not named: {told}");
        Ok(())
    }
}
