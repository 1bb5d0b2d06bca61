//! DeleteRange, alone or in a transaction, and the keys of a revoked lease.

use std::ops::ControlFlow;

use proto::etcdserverpb::DeleteRangeRequest;
use proto::spliced;
use proto::spliced::EncodedKeyValue;

use super::{Applying, Refusal};
use crate::engine::Direction;
use crate::index::At;
use crate::outcome::{Answers, Response};
use crate::range::{self, KeyRange};
use crate::types::RowRevision;

/// Keys to delete and where their values are, in key order.
#[derive(Default)]
struct Doomed {
    keys: Vec<Vec<u8>>,
    rows: Vec<RowRevision>,
}

impl Applying {
    pub(super) fn delete_range(
        &mut self,
        delete: &DeleteRangeRequest,
    ) -> Result<Response, Refusal> {
        Ok(Response::DeleteRange(self.checked_delete(delete)?))
    }

    /// Deletes what lives in the range; nothing there is no error and no revision.
    pub(super) fn checked_delete(
        &mut self,
        delete: &DeleteRangeRequest,
    ) -> Result<spliced::DeleteRangeResponse, Refusal> {
        let doomed = self.doomed(&KeyRange::of(&delete.key, &delete.range_end));
        let prev_kvs = match delete.prev_kv && self.answers == Answers::Materialise {
            true => self.view().rows(&doomed.rows)?.into_iter().map(EncodedKeyValue).collect(),
            false => Vec::new(),
        };
        for key in &doomed.keys {
            self.write_tombstone(key);
        }
        Ok(spliced::DeleteRangeResponse {
            header: Some(range::header(self.visible_revision())),
            deleted: i64::try_from(doomed.keys.len()).expect("keys are in memory"),
            prev_kvs,
        })
    }

    fn doomed(&self, keys: &KeyRange<'_>) -> Doomed {
        let mut doomed = Doomed::default();
        match *keys {
            KeyRange::Point(key) => {
                if let Some(state) = self.root.index.get(key, At::Latest) {
                    doomed.keys.push(key.to_vec());
                    doomed.rows.push(state.modified);
                }
            }
            KeyRange::Span { from, to } => {
                let direction = Direction::Ascending;
                self.root.index.scan(from, to, At::Latest, direction, &mut |key, state| {
                    doomed.keys.push(key.to_vec());
                    doomed.rows.push(state.modified);
                    ControlFlow::Continue(())
                });
            }
        }
        doomed
    }
}
