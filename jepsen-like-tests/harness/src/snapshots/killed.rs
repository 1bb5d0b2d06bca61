//! A real etcd under load, killed with SIGKILL: what Engram makes of its data directory is what
//! etcd itself makes of a copy when it starts again.
//!
//! Invariant: etcd writes its database out so rarely here that most of what was answered is in its
//! log alone.
//!
//! Must not know: records of a log.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use super::history::{make, make_users, rights};
use super::load::{Load, token};
use super::tools::{Tools, on, on_guarded, on_with};
use super::{Hash, Outcome, Plan, equal, single};
use crate::process::{Kind, Member, Programs, cluster};

/// etcd's flags that keep its database behind its log.
const LAGGING: [&str; 2] = ["--backend-batch-interval=1h", "--backend-batch-limit=1000000"];
/// Writes that are answered before the server is killed.
const WRITES: u64 = 400;
/// And so many more that its database does not have.
const WRITES_BEHIND: u64 = 100;

const ROOT: &str = "root:secret";

/// Runs every check.
pub(super) async fn killed(
    tools: &Tools,
    programs: &Programs,
    folder: &Path,
    plan: Plan,
    outcome: &mut Outcome,
) -> Result<()> {
    let folder = folder.join("killed");
    let alone = alone(tools, programs, &folder.join("one"), plan, outcome).await?;
    let third = of_three(tools, programs, &folder.join("three"), plan, outcome).await?;
    bad_logs(tools, &folder, &alone, &third, outcome)
}

/// A cluster of one, with authentication; its data directory.
async fn alone(
    tools: &Tools,
    programs: &Programs,
    folder: &Path,
    plan: Plan,
    outcome: &mut Outcome,
) -> Result<PathBuf> {
    let mut etcd = single(programs, Kind::Etcd, folder, &LAGGING).await?;
    let url = etcd.client_url().to_owned();
    make(&url, plan).await?;
    make_users(tools, &url)?;
    tools.etcdctl(&url, &["auth", "enable"])?;
    tools.etcdctl_as(&url, ROOT, &["user", "add", "bob:secret"])?;
    tools.etcdctl_as(&url, ROOT, &["user", "delete", "bob"])?;
    let load = Load::begin(&url, Some(&token(&url, "root", "secret").await?), plan.seed).await?;
    load.reach(WRITES).await?;
    load.leave_behind(WRITES_BEHIND).await?;
    etcd.kill()?;
    let answered = load.end().await?;

    let data = folder.join("m0");
    let copy = tools.path("killed-copy");
    copy_folder(&data, Path::new(&copy))?;
    let mut etcd = on_guarded(tools, Kind::Etcd, &copy, ROOT).await?;
    let theirs = known(tools, etcd.client_url())?;
    etcd.terminate().await?;
    let hash = tools.etcdutl_hash(&format!("{copy}/member/snap/db"))?;

    let (into, said) = tools.import_said(&data.display().to_string(), "killed-imported")?;
    outcome.check("etcd's database was behind its log", has(&said, "was behind its log"));
    outcome.check("a killed etcd's directory hashes as etcd's own restart", {
        equal(tools.engram_hash(&into)?, hash)
    });
    outcome.check("no answered write is lost", {
        let (_, revision, _): Hash = hash;
        held(revision >= answered, || format!("{answered} was answered, {revision} is there"))
    });
    let mut engram = on_guarded(tools, Kind::Engram, &into, ROOT).await?;
    let ours = known(tools, engram.client_url())?;
    outcome
        .check("keys, leases, users and roles are as after etcd's restart", equal(&ours, &theirs));
    let write = tools.etcdctl_as(engram.client_url(), ROOT, &["put", "later", "x"]);
    outcome.check("Engram goes on from there", write.map(drop));
    engram.terminate().await?;
    outcome.check("the directory of a killed etcd is sound", tools.verify(&into));
    Ok(data)
}

/// One member's directory of three.
async fn of_three(
    tools: &Tools,
    programs: &Programs,
    folder: &Path,
    plan: Plan,
    outcome: &mut Outcome,
) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let mut members = cluster(programs, Kind::Etcd, folder, 3, &LAGGING)?;
    members.iter_mut().try_for_each(Member::start)?;
    for member in &mut members {
        member.ready().await?;
    }
    let url = members[1].client_url().to_owned();
    make(&url, Plan { keys: plan.keys / 4 + 50, ..plan }).await?;
    let load = Load::begin(&url, None, plan.seed).await?;
    load.reach(WRITES).await?;
    load.leave_behind(WRITES_BEHIND).await?;
    members.iter_mut().try_for_each(Member::kill)?;
    load.end().await?;

    let data = folder.join("m0");
    let copy = tools.path("three-copy");
    copy_folder(&data, Path::new(&copy))?;
    let mut etcd = on_with(programs, Kind::Etcd, &copy, &["--force-new-cluster"]).await?;
    etcd.terminate().await?;
    let hash = tools.etcdutl_hash(&format!("{copy}/member/snap/db"))?;

    let (into, said) = tools.import_said(&data.display().to_string(), "three-imported")?;
    outcome.check("a member's database was behind its log", has(&said, "was behind its log"));
    outcome.check("one member of three hashes as etcd that goes on alone", {
        equal(tools.engram_hash(&into)?, hash)
    });
    let mut engram = on(programs, Kind::Engram, &into).await?;
    let url = engram.client_url();
    outcome.check("Engram answers that hash", equal(tools.endpoint_hash(url)?, hash));
    engram.terminate().await?;
    Ok(data)
}

/// Logs that are not what a crash leaves: refused, and nothing is written.
fn bad_logs(
    tools: &Tools,
    folder: &Path,
    data: &Path,
    other: &Path,
    outcome: &mut Outcome,
) -> Result<()> {
    let files = |of: &Path| -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(of.join("member/wal"))? {
            let name = entry?.file_name().into_string().ok().context("a plain name")?;
            if name.ends_with(".wal") {
                let mut bytes = fs::read(of.join("member/wal").join(&name))?;
                let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
                bytes.truncate(end);
                files.push((name, bytes));
            }
        }
        files.sort();
        Ok(files)
    };
    let (own, foreign) = (files(data)?, files(other)?);
    let (name, whole) = own.first().context("a log has a file")?;
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    let one = |bytes: &[u8]| vec![(name.clone(), bytes.to_vec())];
    let third = "0000000000000002-0000000000000000.wal".to_owned();
    let cases = [
        ("flipped", one(&flipped)),
        ("short", one(&whole[..400])),
        ("foreign", foreign),
        ("no-log", one(b"no log of any kind")),
        ("gap", vec![(name.clone(), whole.clone()), (third, whole.clone())]),
        ("empty", Vec::new()),
    ];
    let from = data.display().to_string();
    for (case, files) in cases {
        let wal = write_log(&folder.join(case), &files)?;
        let refused = tools.import_refused(&from, &["--from-wal-dir", &wal], "etcd's log in");
        outcome.check(&format!("a log that is {case} is refused"), refused);
    }
    let torn = write_log(&folder.join("torn"), &one(&whole[..whole.len() - 5]))?;
    let said = tools.import_flags(&from, "torn-imported", &["--from-wal-dir", &torn])?.1;
    outcome.check("a torn end is no damage", has(&said, "is torn"));
    Ok(())
}

fn write_log(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<String> {
    fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(folder.display().to_string())
}

/// What a guarded server holds: keys, leases, and what it lets whom do.
fn known(tools: &Tools, url: &str) -> Result<Vec<String>> {
    let mut known = rights(tools, url)?;
    let all = tools.etcdctl_as(url, ROOT, &["get", "", "--prefix", "-w", "json"])?;
    known.push(serde_json::from_str::<serde_json::Value>(&all)?["kvs"].to_string());
    let leases = tools.etcdctl_as(url, ROOT, &["lease", "list"])?;
    let mut leases: Vec<&str> = leases.lines().collect();
    leases.sort_unstable();
    known.push(leases.join(" "));
    Ok(known)
}

/// Copies a folder; what etcd only made ahead is left out.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().context("a name")?);
        match path.is_dir() {
            true => copy_folder(&path, &target)?,
            false if path.extension().is_some_and(|extension| extension == "tmp") => {}
            false => drop(fs::copy(&path, &target)?),
        }
    }
    Ok(())
}

fn has(said: &str, words: &str) -> Result<()> {
    held(said.contains(words), || format!("{words:?} was not said: {said}"))
}

fn held(held: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    ensure!(held, "{}", otherwise());
    Ok(())
}
