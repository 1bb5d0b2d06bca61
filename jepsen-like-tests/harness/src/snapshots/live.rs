//! Live copies of a running etcd: `engram ctl migrate` while the source is written to, compacted,
//! and while the copy itself stands still.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use programs::{Process, with_this_thread};
use proto::etcdserverpb as pb;
use rustix::process::Signal;
use services::etcdserverpb::kv_client::KvClient;
use tonic::transport::Channel;

use super::history::{self, make};
use super::tools::{Tools, on};
use super::{Outcome, Plan, single};
use crate::pause::until;
use crate::process::{Kind, Programs, dial};

/// Changes while the copy stands still: more than etcd keeps for a watcher that does not read (1024
/// answers), and than the connection holds (by their size).
const UNREAD_CHANGES: usize = 3000;
const UNREAD_VALUE_BYTES: usize = 4000;
/// Changes sent at a time.
const ABREAST: usize = 64;
/// How long the copy may take to come so far.
const PATIENCE: Duration = Duration::from_secs(30);

/// A live copy: an etcd that goes on while it is copied, compacted in between.
pub(super) async fn followed(
    tools: &Tools,
    programs: &Programs,
    folder: &Path,
    plan: Plan,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut etcd =
        single(programs, Kind::Etcd, &folder.join("live"), &["--unsafe-no-fsync"]).await?;
    let url = etcd.client_url().to_owned();
    make(&url, plan).await?;
    let mut empty = single(programs, Kind::Engram, &folder.join("empty"), &[]).await?;
    let writer = tokio::spawn(history::go_on(dial(&url).await?, plan.seed, true));
    let copied = tools.migrate(&url, empty.client_url(), &[]);
    outcome.check("a live copy into an empty member is equal", copied.map(drop));
    writer.await??;
    let again = tools.migrate(&url, empty.client_url(), &["--replace"]);
    outcome.check("a second run copies what came later", again.map(drop));
    empty.terminate().await?;
    let file = tools.save(&url, "live.db")?;
    let into = tools.import(&file, "followed")?;
    let mut engram = on(programs, Kind::Engram, &into).await?;
    let imported = tools.endpoint_hash(&url)?.1;
    history::go_on(dial(&url).await?, plan.seed + 1, false).await?;
    // What the import brought is compacted in the source alone; the copy does it too.
    tools.etcdctl(&url, &["compaction", &imported.to_string()])?;
    let exact = tools.migrate(&url, engram.client_url(), &[]);
    let proved = exact.and_then(|said| {
        ensure!(said.contains("HashKV equal"), "no hash was compared: {said}");
        Ok(())
    });
    outcome.check("a copy that began with an import has the same HashKV", proved);
    engram.terminate().await?;
    etcd.terminate().await?;
    Ok(())
}

/// A copy that stands still until the source has compacted what it did not read.
pub(super) async fn stalled(
    programs: &Programs,
    folder: &Path,
    plan: Plan,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut etcd =
        single(programs, Kind::Etcd, &folder.join("ahead"), &["--unsafe-no-fsync"]).await?;
    let url = etcd.client_url().to_owned();
    make(&url, plan).await?;
    let mut engram = single(programs, Kind::Engram, &folder.join("behind"), &[]).await?;
    let log = folder.join("stalled.log");
    let mut command = with_this_thread(&programs.engram);
    let endpoints = format!("--endpoints={}", engram.client_url());
    command.args(["ctl", "migrate", "--follow", "--from", &url, &endpoints]);
    let mut copy = Process::start("migrate", command, &log)?;
    said(&mut copy, &log, "both sides are equal; following").await?;
    copy.signal(Signal::STOP)?;
    unread(dial(&url).await?).await?;
    copy.signal(Signal::CONT)?;
    let went_on = said(&mut copy, &log, "what differs is copied once more").await;
    outcome.check("a copy that was overtaken by a compaction goes on", went_on);
    copy.signal(Signal::INT)?;
    let proved = said(&mut copy, &log, "equal: ").await;
    outcome.check("and both sides are equal then", proved);
    engram.terminate().await?;
    etcd.terminate().await?;
    Ok(())
}

/// Waits until a line with these words was printed.
async fn said(copy: &mut Process, log: &Path, words: &str) -> Result<()> {
    let what = format!("the copy says {words:?}");
    until(&what, PATIENCE, async || {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        match text.lines().any(|line| line.contains(words)) {
            true => Ok(Ok(())),
            // It may have said so and ended between the two looks.
            false if copy.ended().is_some() => Ok(Err(text)),
            false => Err(text),
        }
    })
    .await?
    .map_err(anyhow::Error::msg)
}

/// Writes what nobody reads, deletes some of the first keys, and compacts it all.
async fn unread(channel: Channel) -> Result<()> {
    let mut kv = KvClient::new(channel);
    for begin in (0..UNREAD_CHANGES).step_by(ABREAST) {
        let puts = (begin..begin + ABREAST).map(|number| {
            let put = pb::PutRequest {
                key: format!("key/{}", number % 500).into(),
                value: vec![b'v'; UNREAD_VALUE_BYTES].into(),
                ..Default::default()
            };
            let mut kv = kv.clone();
            async move { kv.put(put).await }
        });
        futures::future::try_join_all(puts).await?;
    }
    let delete = pb::DeleteRangeRequest {
        key: "key/1".into(),
        range_end: "key/2".into(),
        ..Default::default()
    };
    let header = kv.delete_range(delete).await?.into_inner().header;
    let revision = header.unwrap_or_default().revision;
    kv.compact(pb::CompactionRequest { revision, physical: true }).await?;
    Ok(())
}
