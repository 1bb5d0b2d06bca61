//! A member that came and left: etcd keeps its id for ever, and so does our file.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::tools::{Tools, on};
use super::{Outcome, single};
use crate::process::{Kind, Programs};

/// Adds a learner, removes it, and looks for its id in what is saved.
pub(super) async fn left(
    tools: &Tools,
    programs: &Programs,
    folder: &Path,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut engram = single(programs, Kind::Engram, &folder.join("left"), &[]).await?;
    let url = engram.client_url().to_owned();
    let peer = "--peer-urls=http://127.0.0.1:1";
    let added = tools.etcdctl(&url, &["member", "add", "gone", "--learner", peer])?;
    let id = added.split_whitespace().nth(1).context("no id was told")?;
    tools.etcdctl(&url, &["put", "key", "value"])?;
    let mark = format!("{}removed", id.trim_start_matches('0')).into_bytes();
    let names = |file: &str| -> Result<bool> {
        Ok(std::fs::read(file)?.windows(mark.len()).any(|window| window == mark))
    };
    let before = tools.save(&url, "before.db")?;
    tools.etcdctl(&url, &["member", "remove", id])?;
    let after = tools.save(&url, "after.db")?;
    let told = (names(&before)?, names(&after)?);
    outcome.check("a member that left is in members_removed", super::equal(told, (false, true)));
    engram.kill()?;
    engram.start()?;
    engram.ready().await?;
    let again = tools.save(&url, "again-after.db")?;
    outcome.check("and still is after a restart", super::equal(names(&again)?, true));
    engram.terminate().await?;
    outcome.check("both tools tell the same of that file", tools.statuses_agree(&after));
    let data = tools.etcdutl_restore(&after, "left-restored", &[])?;
    let mut etcd = on(programs, Kind::Etcd, &data).await?;
    let value = tools.etcdctl(etcd.client_url(), &["get", "key", "--print-value-only"])?;
    etcd.terminate().await?;
    outcome.check("etcd serves that file", {
        ensure!(value.trim() == "value", "{value}");
        Ok(())
    });
    Ok(())
}
