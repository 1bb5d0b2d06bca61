//! What a stopped etcd's log has beyond its database: the end of a data directory's history.
//!
//! Invariants: the whole log is read and checked before anything of it is used; log and database
//! are of one member; every entry that is handed out is known to us.
//! Must not know: how commands are applied.

use std::fs::{self, File};
use std::path::Path;

use bbolt::etcd::Contents;
use etcd_wal::{Entry, Segment, SegmentName, Survey, Torn, WalError};
use proto::log::Command;

use crate::ToolError;
use crate::catalogue::Id;

/// The end of a history, in commands of ours.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// What the database lacks, in order.
    pub(super) commands: Vec<Command>,
    /// The entries that they come from: behind the first, up to and with the second.
    pub(super) between: (u64, u64),
    /// Entries after those: nobody can tell from this log whether they were ever committed.
    pub(super) given_up: usize,
    /// A write that a crash cut off, and that nobody was answered for.
    pub(super) torn: Option<Torn>,
}

/// A log that was read once.
pub(super) struct EtcdLog {
    segments: Vec<Segment<File>>,
    survey: Survey,
}

impl EtcdLog {
    /// Reads all of a log's files.
    ///
    /// *Errors*: damage, but for an end that a crash tore; missing files.
    pub(super) fn open(directory: &Path) -> Result<Self, ToolError> {
        let mut segments = segments(directory)?;
        let survey = etcd_wal::survey(&mut segments).map_err(|error| refused(directory, &error))?;
        Ok(Self { segments, survey })
    }

    /// The entry that etcd's newest snapshot goes up to: a database that lacks it is not the
    /// newest.
    pub(super) fn snapshot_index(&self) -> u64 {
        self.survey.snapshot.map_or(0, |mark| mark.index)
    }

    /// What comes after a database of these contents.
    ///
    /// *Errors*: the log is of another member, or does not reach back to the database's end.
    pub(super) fn after(
        mut self,
        directory: &Path,
        contents: &Contents,
    ) -> Result<Later, ToolError> {
        let applied = contents.consistent_index;
        let refused = |error: &WalError| refused(directory, error);
        let tail = etcd_wal::entries(&mut self.segments, applied).map_err(|e| refused(&e))?;
        let other = |what: String| refused(&WalError::Entries(what));
        if let Some(term) =
            tail.term_before.filter(|term| contents.term > 0 && *term != contents.term)
        {
            return Err(other(format!(
                "entry {applied} is of term {term} in the log and of term {} in the database: they \
                 are not of one member",
                contents.term
            )));
        }
        let Survey { node_id, hard_state, ref torn, .. } = self.survey;
        if !is_member(contents, &tail.entries, node_id) {
            return Err(other(format!(
                "the log is of member {node_id:x}, which the database does not know"
            )));
        }
        let last = tail.last_index.max(self.snapshot_index());
        if last < applied {
            return Err(other(format!(
                "the log ends with entry {last}, the database has {applied} of them"
            )));
        }
        let voters = contents.members.iter().filter(|member| !member.is_learner);
        let voters = voters.map(|member| member.id);
        let count = etcd_wal::committed(&tail.entries, applied, &hard_state, node_id, voters)
            .map_err(|error| refused(&error))?;
        let (committed, given_up) = tail.entries.split_at(count);
        let commands = committed.iter().filter_map(|entry| etcd_wal::command(entry).transpose());
        let commands = commands.collect::<Result<_, _>>().map_err(|error| refused(&error))?;
        let until = committed.last().map_or(applied, |entry| entry.index);
        let (given_up, torn) = (given_up.len(), torn.clone());
        Ok(Later { commands, between: (applied, until), given_up, torn })
    }
}

/// A member that is not in the database yet is added by an entry.
fn is_member(contents: &Contents, entries: &[Entry], id: u64) -> bool {
    contents.members.is_empty()
        || contents.members.iter().any(|member| member.id == id)
        || contents.removed_members.contains(&id)
        || etcd_wal::names(entries, id)
}

fn segments(directory: &Path) -> Result<Vec<Segment<File>>, ToolError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.and_then(SegmentName::parse) {
            let content = File::open(&path)?;
            let (shown, bytes) = (path.display().to_string(), content.metadata()?.len());
            segments.push(Segment { shown, name, bytes, content });
        }
    }
    Ok(segments)
}

fn refused(directory: &Path, error: &WalError) -> ToolError {
    ToolError::of(Id::EtcdLog, format!("etcd's log in {}: {error}", directory.display()))
}
