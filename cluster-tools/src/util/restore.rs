//! `util snapshot restore` and `util import`: a member's data directory made from etcd's file.
//!
//! Invariants: every revision, version, lease, user and role is kept; what a member needs to start
//! is written last, so that a directory that was begun and not finished does not start; members
//! restored from one file with one initial cluster agree on everything.
//! Must not know: rows of the state, pages of the file.

use std::path::{Path, PathBuf};

use bbolt::etcd::{Change, Contents};
use clap::Args;
use raft::log::RealLogFiles;
use raft::{InitialMember, RestorePlan};
use store::{Import, ImportedHead, LeaseId, LeaseInfo, Revision, StorageError};
use tonic::codegen::http::Uri;

use super::replay::replay;
use super::source::{History, Opened};
use super::{States, folder, line, source};
use crate::ToolError;

/// Who the restored member is. The names are etcdutl's.
#[derive(Debug, Args)]
pub(super) struct Identity {
    /// Human-readable name for this member.
    #[arg(long, default_value = "default")]
    name: String,
    /// Initial cluster configuration for the restored cluster, as name=URL,name=URL.
    #[arg(long, default_value = "default=http://localhost:2380")]
    initial_cluster: String,
    /// Initial cluster token for the restored cluster.
    #[arg(long, default_value = "etcd-cluster")]
    initial_cluster_token: String,
    /// List of this member's peer URLs to advertise to the rest of the cluster.
    #[arg(long, default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: String,
    /// Path to the output data directory; name.etcd when none is given.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Path to the Raft log's directory; inside the data directory when none is given.
    #[arg(long)]
    wal_dir: Option<PathBuf>,
}

/// What happens to the revision.
#[derive(Debug, Args)]
pub(super) struct Bump {
    /// How much to increase the latest revision after restore.
    #[arg(long, default_value_t = 0)]
    bump_revision: u64,
    /// Mark the latest revision after restore as the point of scheduled compaction (required if
    /// --bump-revision > 0, disallowed otherwise).
    #[arg(long)]
    mark_compacted: bool,
}

/// Restores a snapshot to a new data directory.
#[derive(Debug, Args)]
pub(super) struct Restore {
    /// The snapshot file.
    file: PathBuf,
    #[command(flatten)]
    identity: Identity,
    #[command(flatten)]
    bump: Bump,
    /// Ignore the snapshot's checksum (required if copied from a data directory).
    #[arg(long)]
    skip_hash_check: bool,
    /// Has no meaning here: nothing is mapped into memory.
    #[arg(long, default_value_t = 0, hide = true)]
    initial_memory_map_size: u64,
}

/// Takes over what a real etcd kept.
#[derive(Debug, Args)]
pub(super) struct ImportFrom {
    /// A snapshot file, or the data directory of a stopped etcd.
    from: PathBuf,
    #[command(flatten)]
    identity: Identity,
    #[command(flatten)]
    bump: Bump,
    /// Ignore the snapshot's checksum.
    #[arg(long)]
    skip_hash_check: bool,
    /// The log's directory of the data directory that is imported, if it is not inside.
    #[arg(long)]
    from_wal_dir: Option<PathBuf>,
}

impl Restore {
    pub(super) fn run(&self, states: States) -> Result<(), ToolError> {
        let open = || source::snapshot(&self.file, self.skip_hash_check).map(History::from);
        restore(states, &self.identity, &self.bump, open)
    }
}

impl ImportFrom {
    pub(super) fn run(&self, states: States) -> Result<(), ToolError> {
        let open = || match self.from.is_dir() {
            true => source::data_dir(&self.from, self.from_wal_dir.as_deref()),
            false => source::snapshot(&self.from, self.skip_hash_check).map(History::from),
        };
        restore(states, &self.identity, &self.bump, open)
    }
}

fn restore(
    states: States,
    identity: &Identity,
    bump: &Bump,
    open: impl FnOnce() -> Result<History, ToolError>,
) -> Result<(), ToolError> {
    if (bump.bump_revision > 0) != bump.mark_compacted {
        let text = "--mark-compacted required if --revision-bump > 0";
        return Err(ToolError::Usage(text.to_owned()));
    }
    let plan = identity.plan()?;
    let restored = raft::restored(&plan).map_err(|error| ToolError::Usage(error.to_string()))?;
    let history = open()?;
    if bump.bump_revision > 0 && !history.later.commands.is_empty() {
        let text = "--bump-revision: etcd's database is behind its log here: import without it, save \
                    a snapshot, and restore that with it";
        return Err(ToolError::Usage(text.to_owned()));
    }
    let data_dir = identity.data_dir();
    let held = folder::create(&data_dir, identity.wal_dir.clone())?;
    let made = (states.write)(&held.state()).map_err(damaged).and_then(|engine| {
        let import = Import::new(engine, restored.applied, restored.membership.clone());
        let store = fill(import.map_err(damaged)?, &history.database, bump)?;
        replay(store, restored.applied, &history.later)
    });
    let store = match made {
        Ok(store) => store,
        Err(error) => {
            held.abandon(&data_dir);
            return Err(error);
        }
    };
    // Order: the state is durable; now the directory gets its owner.
    let log = RealLogFiles::open(&held.log())?;
    raft::bind_restored(&log, &restored, plan.seed)
        .map_err(|error| ToolError::Damaged(error.to_string()))?;
    let reader = store.reader();
    history.later.tell()?;
    line(format_args!(
        "restored revision {}, compacted {}, {} keys, {} leases",
        reader.revision(),
        reader.compacted_revision(),
        reader.key_count(),
        reader.leases().len()
    ))?;
    line(format_args!(
        "member {} of cluster {} is in {}; start it: engram server --name {} --data-dir {}",
        restored.member_id,
        restored.cluster_id,
        data_dir.display(),
        plan.name,
        data_dir.display()
    ))
}

/// Copies a checked file into an import, and finishes it.
pub(super) fn fill(
    mut import: Import,
    database: &Opened,
    bump: &Bump,
) -> Result<store::Store, ToolError> {
    let contents = bbolt::etcd::contents(database)?;
    let mut newest = 0;
    bbolt::etcd::each_change(database, &mut |change: Change<'_>| {
        newest = newest.max(change.main);
        import.change(change.name, change.value).map_err(damaged)
    })?;
    let mut head = head(&contents);
    if bump.bump_revision > 0 {
        let raised = i64::try_from(bump.bump_revision).ok().and_then(|by| newest.checked_add(by));
        let raised = raised.ok_or_else(|| {
            ToolError::Usage("--bump-revision raises the revision beyond what it can be".to_owned())
        })?;
        // Compat: etcdutl's own mark, byte for byte: an empty row at the raised revision.
        let name = [&raised.to_be_bytes()[..], b"_", &[0; 8]].concat();
        import.change(&name, b"").map_err(damaged)?;
        head.compacted = Some(Revision(raised));
    }
    rest(&mut import, &contents).map_err(damaged)?;
    import.finish(head).map_err(damaged)
}

impl Bump {
    /// The revision stays.
    pub(super) const NONE: Self = Self { bump_revision: 0, mark_compacted: false };
}

fn head(contents: &Contents) -> ImportedHead {
    ImportedHead {
        compacted: contents.compacted().map(Revision),
        finished: contents.finished_compaction.map(Revision),
        auth_enabled: contents.auth_enabled,
        auth_revision: contents.auth_revision,
    }
}

fn rest(import: &mut Import, contents: &Contents) -> Result<(), StorageError> {
    for lease in &contents.leases {
        import.lease(LeaseInfo {
            id: LeaseId(lease.id),
            granted_ttl_s: lease.ttl_s,
            remaining_ttl_s: lease.remaining_ttl_s,
        })?;
    }
    contents.alarms.iter().try_for_each(|alarm| import.alarm(alarm))?;
    contents.users.iter().try_for_each(|user| import.user(user))?;
    contents.roles.iter().try_for_each(|role| import.role(role))
}

fn damaged(error: StorageError) -> ToolError {
    ToolError::Damaged(error.to_string())
}

impl Identity {
    fn data_dir(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(|| Path::new(&format!("{}.etcd", self.name)).into())
    }

    /// *Errors*: in etcd's words, where it checks the same.
    fn plan(&self) -> Result<RestorePlan, ToolError> {
        let initial_cluster = cluster(&self.initial_cluster)?;
        let mut own = urls(&self.initial_advertise_peer_urls)?;
        own.sort();
        let this = initial_cluster.iter().find(|member| member.name == self.name);
        let mut listed = this.map(|member| member.peer_urls.clone()).unwrap_or_default();
        listed.sort();
        if this.is_some() && own != listed {
            let list = |urls: &[String]| {
                urls.iter().map(|url| format!("{}={url}", self.name)).collect::<Vec<_>>().join(",")
            };
            return Err(ToolError::Usage(format!(
                "--initial-cluster has {} but missing from --initial-advertise-peer-urls={}",
                list(&listed),
                own.join(",")
            )));
        }
        Ok(RestorePlan {
            name: self.name.clone(),
            cluster_token: self.initial_cluster_token.clone(),
            initial_cluster,
            seed: rand::random(),
        })
    }
}

/// `a=http://one:2380,b=http://two:2380`; a name that comes again has several URLs.
fn cluster(text: &str) -> Result<Vec<InitialMember>, ToolError> {
    let mut members: Vec<InitialMember> = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, url) = part.split_once('=').ok_or_else(|| {
            ToolError::Usage(format!("--initial-cluster: {part:?} is not name=URL"))
        })?;
        let url = urls(url)?.remove(0);
        match members.iter_mut().find(|member| member.name == name) {
            Some(member) => member.peer_urls.push(url),
            None => members.push(InitialMember { name: name.to_owned(), peer_urls: vec![url] }),
        }
    }
    Ok(members)
}

/// Compat: etcd wants scheme, host and port, and no path.
fn urls(text: &str) -> Result<Vec<String>, ToolError> {
    let check = |url: &str| {
        let refused = |what: &str| ToolError::Usage(format!("{what}: {url}"));
        let parsed: Uri = url.parse().map_err(|_| refused("URL cannot be read"))?;
        match parsed.scheme_str() {
            Some("http" | "https") => {}
            _ => return Err(refused("URL scheme must be http, https, unix, or unixs")),
        }
        if parsed.port().is_none() {
            return Err(refused("URL address does not have the form \"host:port\""));
        }
        if !matches!(parsed.path(), "" | "/") || url.ends_with('/') {
            return Err(refused("URL must not contain a path"));
        }
        Ok(url.to_owned())
    };
    text.split(',').map(|url| check(url.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_initial_cluster_is_read_by_name() {
        let members = cluster("a=http://a:1,b=http://b:2,a=http://a:3").expect("valid");
        let shown: Vec<_> = members.iter().map(|m| (m.name.as_str(), m.peer_urls.len())).collect();
        assert_eq!(shown, [("a", 2), ("b", 1)]);
        for wrong in ["a", "a=ftp://a:1", "a=http://a", "a=http://a:1/x", "a=http://a:1/"] {
            assert!(cluster(wrong).is_err(), "{wrong}");
        }
    }
}
