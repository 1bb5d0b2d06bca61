//! The command lines of etcd's tools and of ours, and what they print.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Hash;
use crate::process::{Kind, Member, Programs, free_ports};

/// How long a server may take until it answers a user.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// The programs, and the folder their files go to.
pub(super) struct Tools {
    programs: Programs,
    folder: PathBuf,
}

impl Tools {
    pub(super) fn new(programs: &Programs, folder: &Path) -> Self {
        Self { programs: programs.clone(), folder: folder.to_owned() }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Writes a file.
    pub(super) fn file(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let path = self.path(name);
        std::fs::write(&path, bytes)?;
        Ok(path)
    }

    pub(super) fn etcdctl(&self, url: &str, words: &[&str]) -> Result<String> {
        let endpoint = format!("--endpoints={url}");
        let words = [words, &[endpoint.as_str()]].concat();
        said(&self.programs.peer("etcdctl"), &words)
    }

    /// As a user, given as name:password.
    pub(super) fn etcdctl_as(&self, url: &str, user: &str, words: &[&str]) -> Result<String> {
        let user = format!("--user={user}");
        self.etcdctl(url, &[words, &[user.as_str()]].concat())
    }

    /// Saves a snapshot as a user.
    pub(super) fn save_as(&self, url: &str, user: &str, name: &str) -> Result<String> {
        let file = self.path(name);
        self.etcdctl_as(url, user, &["snapshot", "save", &file])?;
        Ok(file)
    }

    fn etcdutl(&self, words: &[&str]) -> Result<String> {
        said(&self.programs.peer("etcdutl"), words)
    }

    fn util(&self, words: &[&str]) -> Result<String> {
        said(&self.programs.engram, &[&["util"], words].concat())
    }

    /// A tool of ours that must refuse, with these words.
    fn util_refused(&self, words: &[&str], with: &str) -> Result<()> {
        let output = output(&self.programs.engram, &[&["util"], words].concat())?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(!output.status.success(), "it was taken");
        ensure!(output.status.code().is_some(), "it crashed: {error}");
        ensure!(error.contains(with) && !error.contains("panicked"), "{error}");
        Ok(())
    }

    /// Saves a snapshot from a server.
    pub(super) fn save(&self, url: &str, name: &str) -> Result<String> {
        let file = self.path(name);
        self.etcdctl(url, &["snapshot", "save", &file])?;
        Ok(file)
    }

    pub(super) fn endpoint_hash(&self, url: &str) -> Result<Hash> {
        let said = self.etcdctl(url, &["endpoint", "hashkv", "-w", "json"])?;
        let answer: Value = serde_json::from_str(&said)?;
        hash(&answer[0]["HashKV"], ["hash", "hash_revision", "compact_revision"])
    }

    pub(super) fn etcdutl_status(&self, file: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.etcdutl(&["snapshot", "status", file, "-w", "json"])?)?)
    }

    /// Both tools print the same of a file, in every format.
    pub(super) fn statuses_agree(&self, file: &str) -> Result<()> {
        for format in ["simple", "fields", "table"] {
            let words = ["snapshot", "status", file, "-w", format];
            let (theirs, ours) = (self.etcdutl(&words)?, self.util(&words)?);
            ensure!(theirs == ours, "{ours} instead of {theirs}");
        }
        let ours: Value =
            serde_json::from_str(&self.util(&["snapshot", "status", file, "-w", "json"])?)?;
        let theirs = self.etcdutl_status(file)?;
        ensure!(ours == theirs, "{ours} instead of {theirs}");
        Ok(())
    }

    /// Compat: etcdutl opens the file for writing, so it gets a copy.
    pub(super) fn etcdutl_hash(&self, file: &str) -> Result<Hash> {
        let copy = self.path("hashed.db");
        std::fs::copy(file, &copy)?;
        util_hash(&self.etcdutl(&["hashkv", &copy, "-w", "json"])?)
    }

    /// Of a file or of a member's directory.
    pub(super) fn engram_hash(&self, from: &str) -> Result<Hash> {
        util_hash(&self.util(&["hashkv", from, "-w", "json"])?)
    }

    pub(super) fn etcdutl_restore(&self, file: &str, name: &str, flags: &[&str]) -> Result<String> {
        let data = self.path(name);
        self.etcdutl(&[&["snapshot", "restore", file, "--data-dir", &data], flags].concat())?;
        Ok(data)
    }

    pub(super) fn engram_restore(&self, file: &str, name: &str, flags: &[&str]) -> Result<String> {
        let data = self.path(name);
        self.util(&[&["snapshot", "restore", file, "--data-dir", &data], flags].concat())?;
        Ok(data)
    }

    pub(super) fn import(&self, from: &str, name: &str) -> Result<String> {
        Ok(self.import_said(from, name)?.0)
    }

    /// The directory that was made, and what the tool said.
    pub(super) fn import_said(&self, from: &str, name: &str) -> Result<(String, String)> {
        self.import_flags(from, name, &[])
    }

    pub(super) fn import_flags(
        &self,
        from: &str,
        name: &str,
        flags: &[&str],
    ) -> Result<(String, String)> {
        let data = self.path(name);
        let said = self.util(&[&["import", from, "--data-dir", &data], flags].concat())?;
        Ok((data, said))
    }

    /// As one of several members that are made of the same file.
    pub(super) fn import_as(&self, from: &str, member: &Founder, cluster: &str) -> Result<String> {
        let data = self.path(&member.name);
        let flags = ["import", from, "--data-dir", &data, "--name", &member.name];
        let urls = ["--initial-cluster", cluster, "--initial-advertise-peer-urls", &member.peer];
        self.util(&[&flags[..], &urls].concat())?;
        Ok(data)
    }

    /// An import that must be refused, and leaves nothing.
    pub(super) fn import_refused(&self, from: &str, flags: &[&str], with: &str) -> Result<()> {
        let data = self.path("refused");
        self.util_refused(&[&["import", from, "--data-dir", &data], flags].concat(), with)?;
        ensure!(!Path::new(&data).exists(), "a directory was left behind");
        Ok(())
    }

    pub(super) fn verify(&self, data: &str) -> Result<()> {
        self.util(&["verify", "--data-dir", data]).map(drop)
    }

    /// Every verb that looks into a directory, on one that a member uses.
    pub(super) fn refused_in_use(&self, data: &str) -> Result<()> {
        let verbs: [&[&str]; 5] =
            [&["status"], &["verify"], &["dump", "log"], &["dump", "state"], &["defrag"]];
        for verb in verbs {
            let refused = self.util_refused(&[verb, &["--data-dir", data]].concat(), "in use");
            refused.with_context(|| format!("{verb:?}"))?;
        }
        self.util_refused(&["hashkv", data], "in use").context("hashkv")
    }

    /// A file that must not be restored, and leaves nothing.
    pub(super) fn restore_refused(&self, file: &str) -> Result<()> {
        let data = self.path("nothing");
        let words = ["snapshot", "restore", file, "--data-dir", &data];
        self.util_refused(&words, file)?;
        self.util_refused(&[&words[..], &["--skip-hash-check"]].concat(), "").or_else(|error| {
            // Without the checksum an altered value may pass; a directory was made then.
            std::fs::remove_dir_all(&data).map_err(|_| error)
        })?;
        ensure!(!Path::new(&data).exists(), "a directory was left behind");
        Ok(())
    }

    /// Copies a running etcd; what was printed.
    pub(super) fn migrate(&self, from: &str, to: &str, flags: &[&str]) -> Result<String> {
        let endpoints = format!("--endpoints={to}");
        let words = ["ctl", "migrate", "--from", from, &endpoints];
        said(&self.programs.engram, &[&words[..], flags].concat())
    }
}

fn util_hash(json: &str) -> Result<Hash> {
    hash(&serde_json::from_str(json)?, ["hash", "hashRevision", "compactRevision"])
}

/// A hash in a JSON answer; zero fields may be left out.
fn hash(answer: &Value, names: [&str; 3]) -> Result<Hash> {
    let number = |name: &str| answer.get(name).map_or(Some(0), Value::as_i64);
    let [hash, revision, compacted] = names.map(|name| number(name).context("not a number"));
    Ok((u32::try_from(hash?)?, revision?, compacted?))
}

fn output(program: &Path, words: &[&str]) -> Result<Output> {
    Command::new(program)
        .args(words)
        .output()
        .with_context(|| format!("{} {words:?}", program.display()))
}

/// What a program printed. *Errors*: it failed; with what it complained of.
fn said(program: &Path, words: &[&str]) -> Result<String> {
    let output = output(program, words)?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{} {words:?} ended with {}: {error}", program.display(), output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A member of a cluster to be, and its ports.
pub(super) struct Founder {
    pub(super) name: String,
    client: String,
    pub(super) peer: String,
}

/// Several members to be, with free ports.
pub(super) fn founders(count: usize) -> Result<Vec<Founder>> {
    let ports = free_ports(2 * count)?;
    let url = |at: usize| format!("http://127.0.0.1:{}", ports[at]);
    let founder = |n: usize| Founder {
        name: format!("founder{n}"),
        client: url(2 * n),
        peer: url(2 * n + 1),
    };
    Ok((0..count).map(founder).collect())
}

/// A server on a directory that is there already, ready.
pub(super) async fn on(programs: &Programs, kind: Kind, data: &str) -> Result<Member> {
    on_with(programs, kind, data, &[]).await
}

/// As [`on`], with more flags.
pub(super) async fn on_with(
    programs: &Programs,
    kind: Kind,
    data: &str,
    flags: &[&str],
) -> Result<Member> {
    let founder = founders(1)?.remove(0);
    let mut member = described(programs, kind, data, &founder);
    flags.iter().for_each(|flag| member.add_argument((*flag).to_owned()));
    member.start()?;
    member.ready().await?;
    Ok(member)
}

/// As [`on`], where nobody is answered who does not say who it is.
pub(super) async fn on_guarded(
    tools: &Tools,
    kind: Kind,
    data: &str,
    user: &str,
) -> Result<Member> {
    let founder = founders(1)?.remove(0);
    let mut member = described(&tools.programs, kind, data, &founder);
    member.start()?;
    let deadline = Instant::now() + READY_DEADLINE;
    while let Err(error) = tools.etcdctl_as(member.client_url(), user, &["get", "ready"]) {
        ensure!(Instant::now() < deadline, "not ready: {error:#}; its log: {}", member.tail());
        crate::pause::pause(crate::process::POLL).await;
    }
    Ok(member)
}

/// A server on a directory that is there already, not started.
pub(super) fn described(programs: &Programs, kind: Kind, data: &str, founder: &Founder) -> Member {
    let Founder { client, peer, .. } = founder;
    let mut arguments = match kind {
        Kind::Etcd => Vec::new(),
        Kind::Engram => vec!["server".to_owned()],
    };
    arguments.extend([
        format!("--data-dir={data}"),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
    ]);
    let program = match kind {
        Kind::Etcd => programs.peer("etcd"),
        Kind::Engram => programs.engram.clone(),
    };
    let log = PathBuf::from(format!("{data}.log"));
    Member::new(program, arguments, log, client.clone())
}
