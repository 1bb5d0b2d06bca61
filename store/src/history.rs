//! The past as events: read back from the rows, for watchers who start in it or fall behind.
//!
//! Invariant: from the compacted revision on, every revision is whole and in order: the compaction
//! keeps what happened exactly at its revision, tombstones too (etcd #19179).

use std::ops::ControlFlow;

use bytes::Bytes;

use crate::engine::{Direction, Space};
use crate::error::StorageError;
use crate::event::{Event, EventKind, EventLimits, RevisionEvents};
use crate::key_value;
use crate::layout::{first_name, read_name};
use crate::root::Root;
use crate::types::{LeaseId, Revision, RowRevision};

/// The events of `from..=to`, as far as the limits allow.
pub(crate) fn events(
    root: &Root,
    from: Revision,
    to: Revision,
    limits: EventLimits,
) -> Result<Vec<RevisionEvents>, StorageError> {
    let mut collected = Collected::default();
    let mut failed = None;
    let to = to.0.min(root.revision);
    let (first, end) = (first_name(from.0.max(0)), first_name(to.saturating_add(1)));
    let mut visit = |name: &[u8], row: &[u8]| match collected.row(name, row, limits) {
        Ok(flow) => flow,
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    let engine = &root.engine;
    engine.scan(Space::KeyValues, &first, Some(&end), Direction::Ascending, &mut visit)?;
    match failed {
        Some(error) => Err(error),
        None => Ok(collected.finish()),
    }
}

#[derive(Default)]
struct Collected {
    done: Vec<RevisionEvents>,
    revision: i64,
    events: Vec<Event>,
    bytes: usize,
}

impl Collected {
    /// Takes a row, unless it begins a revision beyond the limits.
    fn row(
        &mut self,
        name: &[u8],
        row: &[u8],
        limits: EventLimits,
    ) -> Result<ControlFlow<()>, StorageError> {
        let (at, tombstone) = read_name(name)?;
        if at.main.0 != self.revision {
            self.close();
            if self.done.len() >= limits.revisions_max.max(1)
                || (!self.done.is_empty() && self.bytes >= limits.bytes_max)
            {
                return Ok(ControlFlow::Break(()));
            }
            self.revision = at.main.0;
        }
        let event = event(at, tombstone, row)?;
        self.bytes += event.kv.len();
        self.events.push(event);
        Ok(ControlFlow::Continue(()))
    }

    fn close(&mut self) {
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events).into();
            self.done.push(RevisionEvents { revision: Revision(self.revision), events });
        }
    }

    fn finish(mut self) -> Vec<RevisionEvents> {
        self.close();
        self.done
    }
}

/// The event that a row records.
fn event(at: RowRevision, tombstone: bool, row: &[u8]) -> Result<Event, StorageError> {
    let kv = key_value::read(row)?;
    if tombstone {
        let encoded = key_value::deleted(kv.key, at.main.0);
        return Ok(Event {
            kind: EventKind::Delete,
            key: key_value::key_of(&encoded, kv.key),
            kv: encoded,
            created: false,
            lease: LeaseId(0),
        });
    }
    let encoded = Bytes::copy_from_slice(row);
    Ok(Event {
        kind: EventKind::Put,
        key: key_value::key_of(&encoded, kv.key),
        created: kv.create_revision == kv.mod_revision,
        lease: LeaseId(kv.lease),
        kv: encoded,
    })
}
