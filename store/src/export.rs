//! Everything that the state holds, of one moment: for a copy in another store's format.
//!
//! Invariant: the rows of the history and the head are of one root, although the writer goes on.
//! Rows that a compaction takes meanwhile are those that the root's own compaction would have
//! taken.

use std::ops::ControlFlow;

use arc_swap::ArcSwap;
use proto::etcdserverpb::AlarmMember;
use proto::log::MemberAttributes;

use crate::auth::AuthState;
use crate::engine::{Direction, Space};
use crate::error::StorageError;
use crate::layout::first_name;
use crate::leases::LeaseInfo;
use crate::limits::READ_ATTEMPTS_MAX;
use crate::root::Root;
use crate::types::{LogId, MemberId, Revision};

/// Everything but the history of keys.
#[derive(Clone, Debug)]
pub struct ExportedHead {
    /// The last applied entry.
    pub applied: LogId,
    /// The current revision.
    pub revision: Revision,
    /// The compacted revision; -1: never.
    pub compacted: Revision,
    /// The compacted revision whose superseded rows are gone; -1: none yet.
    pub finished: Revision,
    /// By rising id.
    pub leases: Vec<LeaseInfo>,
    /// The active alarms.
    pub alarms: Vec<AlarmMember>,
    /// What members said of themselves.
    pub members: Vec<MemberAttributes>,
    /// Members that left for good, by rising id.
    pub removed_members: Vec<MemberId>,
    /// Users, roles and the switch.
    pub auth: AuthState,
}

/// Takes name and value of a change, or ends the export.
pub type VisitChange<'a, E> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), E>;

/// Visits every kept change in order, then tells the rest.
///
/// *Errors*: the visitor's and storage; `Engine` when compactions followed each other so fast that
/// no moment could be held.
pub(crate) fn export<E: From<StorageError>>(
    published: &ArcSwap<Root>,
    visit: VisitChange<'_, E>,
) -> Result<ExportedHead, E> {
    for _ in 0..READ_ATTEMPTS_MAX {
        let root = published.load_full();
        // Order: the scan holds its moment before the first row is seen, and rows go only after a
        // root with their compacted revision is published: what is checked here stays true.
        let stale = || published.load().compacted > root.compacted;
        if changes(&root, &stale, visit)? {
            return Ok(head(&root));
        }
    }
    Err(StorageError::Engine("the history is compacted too often to be copied".into()).into())
}

/// Visits the rows up to the root's revision. False, before any was visited: the root is too old.
fn changes<E: From<StorageError>>(
    root: &Root,
    stale: &dyn Fn() -> bool,
    visit: VisitChange<'_, E>,
) -> Result<bool, E> {
    let mut begun = false;
    let mut failed = None;
    let end = first_name(root.revision.saturating_add(1));
    let mut row = |name: &[u8], row: &[u8]| {
        if !begun && stale() {
            return ControlFlow::Break(());
        }
        begun = true;
        match visit(name, row) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    };
    root.engine.scan(Space::KeyValues, &[], Some(&end), Direction::Ascending, &mut row)?;
    match failed {
        Some(error) => Err(error),
        None => Ok(begun || !stale()),
    }
}

fn head(root: &Root) -> ExportedHead {
    ExportedHead {
        applied: root.applied.unwrap_or_default(),
        revision: Revision(root.revision),
        compacted: Revision(root.compacted),
        finished: Revision(root.finished),
        leases: root.leases.all(),
        alarms: root.alarms_of(0),
        members: root.members.values().cloned().collect(),
        removed_members: root.removed.iter().copied().collect(),
        auth: root.auth.clone(),
    }
}
