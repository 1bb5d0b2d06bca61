//! Put, alone or in a transaction.

use proto::etcdserverpb::PutRequest;
use proto::spliced;
use proto::spliced::EncodedKeyValue;

use super::{Applying, Refusal};
use crate::key_value;
use crate::outcome::{Answers, Response};
use crate::plan;
use crate::range;
use crate::types::LeaseId;

impl Applying {
    pub(super) fn put(&mut self, put: &PutRequest) -> Result<Response, Refusal> {
        plan::check_put(&self.view(), put)?;
        Ok(Response::Put(self.checked_put(put)?))
    }

    /// Makes a put that is known to succeed.
    ///
    /// A key that is to lend its value or lease, but was deleted earlier in the same transaction,
    /// lends nothing: doors refuse such transactions, and a half applied one must not be.
    pub(super) fn checked_put(
        &mut self,
        put: &PutRequest,
    ) -> Result<spliced::PutResponse, Refusal> {
        let wants_previous = put.prev_kv && self.answers == Answers::Materialise;
        let previous = match put.ignore_value || wants_previous {
            true => self.view().current(&put.key)?,
            false => None,
        };
        let lease = match put.ignore_lease {
            true => self.root.leases.of_key(&put.key),
            false => LeaseId(put.lease),
        };
        match &previous {
            Some(row) if put.ignore_value => {
                self.write_put(&put.key, key_value::read(row)?.value, lease);
            }
            _ if put.ignore_value => self.write_put(&put.key, b"", lease),
            _ => self.write_put(&put.key, &put.value, lease),
        }
        Ok(spliced::PutResponse {
            header: Some(range::header(self.visible_revision())),
            prev_kv: previous.filter(|_| wants_previous).map(EncodedKeyValue),
        })
    }
}
