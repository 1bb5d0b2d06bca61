//! Checksums of the whole: `HashKV`, equal to etcd's for the same history, and `Hash` over all
//! that is replicated.
//!
//! Compat: etcd's `HashKV` is the CRC-32C of the ASCII `key`, then name and value of every change
//! up to the hash revision, in order, without what a compaction removes whether or not this member
//! has removed it yet:
//! - a change at or below the compacted revision that is not among those kept at the *hash*
//!   revision, unless that set is empty, when nothing is left out (so the answer then depends on
//!   physical progress);
//! - a tombstone exactly at the compacted revision.
//!
//! One thing is not imitated: for the revisions of its last ten compactions a running etcd
//! remembers a hash, made with the compacted revision before, and answers that one until it
//! restarts.
//!
//! Kept at a revision: for each key its newest change up to there, if it is a put.

use std::ops::ControlFlow;

use prost::Message as _;

use crate::engine::{Direction, Space};
use crate::error::StorageError;
use crate::index::At;
use crate::layout::{first_name, read_name};
use crate::root::Root;
use crate::types::{Revision, RowRevision};

/// etcd's name of its key-value bucket.
const BUCKET: &[u8] = b"key";

/// The answer of `HashKV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    /// CRC-32C.
    pub hash: u32,
    /// The compacted revision; -1 when nothing was ever compacted.
    pub compact_revision: Revision,
    /// The revision up to which the hash goes.
    pub hash_revision: Revision,
}

/// Hashes the history up to `revision`, which lies inside of it.
pub(crate) fn hash_kv(root: &Root, revision: i64) -> Result<HashKv, StorageError> {
    let mut hasher = Hasher {
        crc: crc32c::crc32c(BUCKET),
        compacted: root.compacted,
        kept: kept_below(root, revision),
        keeps_nothing: is_empty_at(root, revision),
    };
    let mut failed = None;
    let end = first_name(revision.saturating_add(1));
    let mut visit = |name: &[u8], row: &[u8]| match hasher.row(name, row) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    let engine = &root.engine;
    engine.scan(Space::KeyValues, &[], Some(&end), Direction::Ascending, &mut visit)?;
    match failed {
        Some(error) => Err(error),
        None => Ok(HashKv {
            hash: hasher.crc,
            compact_revision: Revision(root.compacted),
            hash_revision: Revision(revision),
        }),
    }
}

/// Compat: etcd takes a negative revision as it is, and nothing lies up to there.
pub(crate) fn hash_of_nothing(root: &Root, revision: Revision) -> HashKv {
    HashKv {
        hash: crc32c::crc32c(BUCKET),
        compact_revision: Revision(root.compacted),
        hash_revision: revision,
    }
}

struct Hasher {
    crc: u32,
    compacted: i64,
    /// The kept changes at or below the compacted revision, sorted.
    kept: Vec<RowRevision>,
    keeps_nothing: bool,
}

impl Hasher {
    fn row(&mut self, name: &[u8], row: &[u8]) -> Result<(), StorageError> {
        let (at, tombstone) = read_name(name)?;
        let main = at.main.0;
        let superseded =
            main <= self.compacted && !self.keeps_nothing && self.kept.binary_search(&at).is_err();
        let last_word = tombstone && main == self.compacted;
        if !(superseded || last_word) {
            self.crc = crc32c::crc32c_append(crc32c::crc32c_append(self.crc, name), row);
        }
        Ok(())
    }
}

/// What is kept at `revision`, as far as the compaction could remove it.
fn kept_below(root: &Root, revision: i64) -> Vec<RowRevision> {
    let mut kept = Vec::new();
    if root.compacted < 0 {
        return kept;
    }
    let at = At::Revision(Revision(revision));
    root.index.scan(&[], None, at, Direction::Ascending, &mut |_, state| {
        if state.modified.main.0 <= root.compacted {
            kept.push(state.modified);
        }
        ControlFlow::Continue(())
    });
    kept.sort_unstable();
    kept
}

fn is_empty_at(root: &Root, revision: i64) -> bool {
    let mut empty = true;
    let at = At::Revision(Revision(revision));
    root.index.scan(&[], None, at, Direction::Ascending, &mut |_, _| {
        empty = false;
        ControlFlow::Break(())
    });
    empty
}

/// A checksum over all that is replicated, from the rows: the history as `HashKV` sees it, leases,
/// members, alarms, users and roles. What each member does in its own time does not count.
pub(crate) fn hash_state(root: &Root) -> Result<u32, StorageError> {
    let mut crc = hash_kv(root, root.revision)?.hash;
    for lease in root.leases.all() {
        for number in [lease.id.0, lease.granted_ttl_s, lease.remaining_ttl_s] {
            crc = crc32c::crc32c_append(crc, &number.to_be_bytes());
        }
    }
    for alarm in root.alarms_of(0) {
        crc = crc32c::crc32c_append(crc, &alarm.encode_to_vec());
    }
    for member in root.members.values() {
        crc = crc32c::crc32c_append(crc, &member.encode_to_vec());
    }
    for user in root.auth.users() {
        crc = crc32c::crc32c_append(crc, &user.encode_to_vec());
    }
    for role in root.auth.roles() {
        crc = crc32c::crc32c_append(crc, &role.encode_to_vec());
    }
    let switch = [u8::from(root.auth.enabled)];
    let crc = crc32c::crc32c_append(crc, &switch);
    Ok(crc32c::crc32c_append(crc, &root.auth.revision.to_be_bytes()))
}
