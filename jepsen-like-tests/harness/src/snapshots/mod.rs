//! Files in and out, on real binaries: what Engram saves is restored by the real etcdutl and served
//! by the real etcd, what etcd saves is imported by Engram, and the hashes are equal.
//!
//! Invariant: a history is made once, on one side; everything else is read from files or asked.
//!
//! Must not know: pages and rows of a file.

mod history;
mod killed;
mod left;
mod live;
mod load;
mod tools;

use std::path::Path;

use anyhow::{Result, ensure};

use self::history::{holds, make, make_users, users};
use self::tools::{Tools, on, on_guarded};
use crate::process::{Kind, Member, Programs, cluster};

/// What a run is told.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Keys of the history beside its odd ones; their values come to half a kilobyte each.
    pub keys: u64,
    /// What keys, values and the order of changes are drawn from.
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Checks that held.
    pub passed: u64,
    /// What did not, in words.
    pub failed: Vec<String>,
}

impl Outcome {
    fn check(&mut self, what: &str, held: Result<()>) {
        match held {
            Ok(()) => self.passed += 1,
            Err(error) => self.failed.push(format!("{what}: {error:#}")),
        }
    }
}

/// Runs every check.
///
/// *Errors*: a server or a file could not be made at all.
pub async fn run(programs: &Programs, folder: &Path, plan: Plan) -> Result<Outcome> {
    let tools = Tools::new(programs, folder);
    let mut outcome = Outcome::default();
    let saved = out(&tools, programs, folder, plan, &mut outcome).await?;
    back(&tools, programs, &saved, &mut outcome).await?;
    guarded(&tools, programs, &saved, &mut outcome).await?;
    three(&tools, programs, &saved, &mut outcome).await?;
    raised(&tools, programs, &saved, &mut outcome).await?;
    refused(&tools, &saved, &mut outcome)?;
    left::left(&tools, programs, folder, &mut outcome).await?;
    killed::killed(&tools, programs, folder, plan, &mut outcome).await?;
    live::followed(&tools, programs, folder, plan, &mut outcome).await?;
    live::stalled(programs, folder, plan, &mut outcome).await?;
    Ok(outcome)
}

/// A saved snapshot, and what the server said that it is of.
struct Saved {
    file: String,
    hash: Hash,
    held: history::Held,
}

/// `HashKV`: hash, revision, compacted revision.
type Hash = (u32, i64, i64);

/// Engram's snapshot through etcd's tools into etcd.
async fn out(
    tools: &Tools,
    programs: &Programs,
    folder: &Path,
    plan: Plan,
    outcome: &mut Outcome,
) -> Result<Saved> {
    let mut engram = single(programs, Kind::Engram, &folder.join("first"), &[]).await?;
    make(engram.client_url(), plan).await?;
    let file = tools.save(engram.client_url(), "engram.db")?;
    let hash = tools.endpoint_hash(engram.client_url())?;
    let held = holds(tools, engram.client_url())?;
    engram.terminate().await?;
    outcome.check("etcdutl finds the file sound", tools.etcdutl_status(&file).map(drop));
    outcome.check("both tools tell the same of the file", tools.statuses_agree(&file));
    outcome.check(
        "etcdutl hashes the file as the server did",
        equal(tools.etcdutl_hash(&file)?, hash),
    );
    outcome.check("engram util hashes it so too", equal(tools.engram_hash(&file)?, hash));
    let data = tools.etcdutl_restore(&file, "restored", &[])?;
    let mut etcd = on(programs, Kind::Etcd, &data).await?;
    let url = etcd.client_url().to_owned();
    outcome.check("etcd answers the same HashKV", equal(tools.endpoint_hash(&url)?, hash));
    outcome.check("etcd holds the same", equal(&holds(tools, &url)?, &held));
    outcome.check("etcd takes writes", tools.etcdctl(&url, &["put", "later", "x"]).map(drop));
    etcd.terminate().await?;
    Ok(Saved { file, hash, held })
}

/// etcd's files into Engram: a snapshot, a data directory, one in use, one that was killed.
async fn back(
    tools: &Tools,
    programs: &Programs,
    saved: &Saved,
    outcome: &mut Outcome,
) -> Result<()> {
    let data = tools.etcdutl_restore(&saved.file, "source", &[])?;
    let mut etcd = on(programs, Kind::Etcd, &data).await?;
    let url = etcd.client_url().to_owned();
    tools.etcdctl(&url, &["put", "only/etcd", "wrote this"])?;
    make_users(tools, &url)?;
    let known = users(tools, &url)?;
    let file = tools.save(&url, "etcd.db")?;
    let (hash, held) = (tools.endpoint_hash(&url)?, holds(tools, &url)?);
    outcome
        .check("a running etcd's directory is refused", tools.import_refused(&data, &[], "in use"));
    etcd.kill()?;
    let killed = tools.import(&data, "killed")?;
    outcome.check(
        "a killed etcd's directory has all that was answered",
        equal(tools.engram_hash(&killed)?, hash),
    );
    etcd.start()?;
    etcd.ready().await?;
    etcd.terminate().await?;
    for (what, from) in [("a snapshot", file.as_str()), ("a data directory", data.as_str())] {
        let into = tools.import(from, &format!("imported {what}"))?;
        outcome.check(
            &format!("the directory made of {what} hashes as etcd"),
            equal(tools.engram_hash(&into)?, hash),
        );
        let mut engram = on(programs, Kind::Engram, &into).await?;
        let url = engram.client_url().to_owned();
        outcome.check(
            &format!("Engram answers etcd's HashKV after {what}"),
            equal(tools.endpoint_hash(&url)?, hash),
        );
        outcome.check(
            &format!("Engram holds the same after {what}"),
            equal(&holds(tools, &url)?, &held),
        );
        outcome.check("every verb refuses a directory in use", tools.refused_in_use(&into));
        let again = tools.save(&url, "again.db")?;
        engram.terminate().await?;
        outcome.check("the directory is sound", tools.verify(&into));
        let data = tools.etcdutl_restore(&again, &format!("returned {what}"), &[])?;
        let mut etcd = on(programs, Kind::Etcd, &data).await?;
        let kept = users(tools, etcd.client_url())?;
        outcome.check(&format!("users and roles came through after {what}"), equal(&kept, &known));
        etcd.terminate().await?;
    }
    Ok(())
}

/// Authentication switched on: it goes from etcd into Engram and back, switched on.
async fn guarded(
    tools: &Tools,
    programs: &Programs,
    saved: &Saved,
    outcome: &mut Outcome,
) -> Result<()> {
    let root = "root:secret";
    let data = tools.etcdutl_restore(&saved.file, "guarded", &[])?;
    let mut etcd = on(programs, Kind::Etcd, &data).await?;
    let url = etcd.client_url().to_owned();
    make_users(tools, &url)?;
    tools.etcdctl(&url, &["auth", "enable"])?;
    let rights = history::rights(tools, &url)?;
    let file = tools.save_as(&url, root, "guarded.db")?;
    etcd.terminate().await?;
    let into = tools.import(&file, "guarded-engram")?;
    let mut engram = on_guarded(tools, Kind::Engram, &into, root).await?;
    let ours = history::rights(tools, engram.client_url())?;
    outcome.check("Engram guards what etcd guarded", equal(&ours, &rights));
    let back = tools.save_as(engram.client_url(), root, "guarded-back.db")?;
    engram.terminate().await?;
    let data = tools.etcdutl_restore(&back, "guarded-back", &[])?;
    let mut etcd = on_guarded(tools, Kind::Etcd, &data, root).await?;
    let theirs = history::rights(tools, etcd.client_url())?;
    outcome.check("etcd guards what Engram guarded", equal(&theirs, &rights));
    etcd.terminate().await?;
    Ok(())
}

/// One file, three members: they found a cluster that holds the history.
async fn three(
    tools: &Tools,
    programs: &Programs,
    saved: &Saved,
    outcome: &mut Outcome,
) -> Result<()> {
    let founders = tools::founders(3)?;
    let cluster: Vec<String> =
        founders.iter().map(|member| format!("{}={}", member.name, member.peer)).collect();
    let mut members = Vec::new();
    for founder in &founders {
        let data = tools.import_as(&saved.file, founder, &cluster.join(","))?;
        members.push(tools::described(programs, Kind::Engram, &data, founder));
    }
    members.iter_mut().try_for_each(Member::start)?;
    for member in &mut members {
        member.ready().await?;
    }
    for member in &members {
        let url = member.client_url();
        outcome.check("a founder hashes as the file", equal(tools.endpoint_hash(url)?, saved.hash));
        outcome.check("a founder holds the file", equal(&holds(tools, url)?, &saved.held));
    }
    for member in &mut members {
        member.kill()?;
    }
    Ok(())
}

/// A raised revision: both tools make the same of it.
async fn raised(
    tools: &Tools,
    programs: &Programs,
    saved: &Saved,
    outcome: &mut Outcome,
) -> Result<()> {
    let flags = ["--bump-revision", "1000000", "--mark-compacted"];
    let theirs = tools.etcdutl_restore(&saved.file, "raised-etcd", &flags)?;
    let mut etcd = on(programs, Kind::Etcd, &theirs).await?;
    let hash = tools.endpoint_hash(etcd.client_url())?;
    etcd.terminate().await?;
    let ours = tools.engram_restore(&saved.file, "raised-engram", &flags)?;
    outcome.check("a raised revision hashes alike", equal(tools.engram_hash(&ours)?, hash));
    outcome.check("the revision is raised by so much", equal(hash.1, saved.hash.1 + 1_000_000));
    Ok(())
}

/// Files that are no snapshots.
fn refused(tools: &Tools, saved: &Saved, outcome: &mut Outcome) -> Result<()> {
    let whole = std::fs::read(&saved.file)?;
    let mut altered = 0;
    for at in (0..whole.len()).step_by((whole.len() / 24).max(4096)) {
        let cut = tools.file("cut.db", &whole[..at])?;
        outcome.check(&format!("cut at {at}"), tools.restore_refused(&cut));
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        altered += 1;
        let file = tools.file("altered.db", &bytes)?;
        outcome.check(&format!("altered at {at}"), tools.restore_refused(&file));
    }
    ensure!(altered > 2, "the file is too short to be cut");
    Ok(())
}

/// One fresh member, ready.
async fn single(programs: &Programs, kind: Kind, folder: &Path, extra: &[&str]) -> Result<Member> {
    std::fs::create_dir_all(folder)?;
    let mut member = cluster(programs, kind, folder, 1, extra)?.remove(0);
    member.start()?;
    member.ready().await?;
    Ok(member)
}

fn equal<T: PartialEq + std::fmt::Debug>(one: T, other: T) -> Result<()> {
    ensure!(one == other, "{one:?} instead of {other:?}");
    Ok(())
}
