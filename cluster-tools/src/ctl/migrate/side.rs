//! One of the two clusters, and the questions that a migration asks of either.

use proto::etcdserverpb as pb;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;
use tonic::Status;

use crate::ToolError;
use crate::wire::Wire;

/// A cluster, through one of its members.
#[derive(Clone)]
pub(crate) struct Side {
    channel: Wire,
}

/// The keys that are copied: all that begin with some bytes.
#[derive(Debug, Clone)]
pub(super) struct Prefix {
    from: Vec<u8>,
    /// The end, exclusive; a zero byte: none.
    to: Vec<u8>,
}

impl Prefix {
    pub(super) fn new(prefix: &str) -> Self {
        if prefix.is_empty() {
            return Self { from: vec![0], to: vec![0] };
        }
        let mut to = prefix.as_bytes().to_vec();
        // The next longer key without this beginning: the last byte that can be raised is.
        while to.last() == Some(&0xff) {
            to.pop();
        }
        match to.last_mut() {
            Some(last) => *last += 1,
            None => to = vec![0],
        }
        Self { from: prefix.into(), to }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.from == [0]
    }

    pub(super) fn first(&self) -> Vec<u8> {
        self.from.clone()
    }

    pub(super) fn end(&self) -> Vec<u8> {
        self.to.clone()
    }
}

impl Side {
    pub(crate) fn new(channel: Wire) -> Self {
        Self { channel }
    }

    pub(super) fn channel(&self) -> Wire {
        self.channel.clone()
    }

    pub(super) fn kv(&self) -> KvClient<Wire> {
        KvClient::new(self.channel()).max_decoding_message_size(usize::MAX)
    }

    pub(super) fn lease(&self) -> LeaseClient<Wire> {
        LeaseClient::new(self.channel())
    }

    /// Where the cluster stands, linearizably.
    pub(super) async fn header(&self) -> Result<pb::ResponseHeader, ToolError> {
        let request = pb::RangeRequest {
            key: vec![0].into(),
            range_end: vec![0].into(),
            limit: 1,
            keys_only: true,
            ..Default::default()
        };
        Ok(self.kv().range(request).await?.into_inner().header.unwrap_or_default())
    }

    /// A page of keys from `key` on, of a revision; 0: the newest.
    pub(super) async fn page(
        &self,
        key: Vec<u8>,
        end: Vec<u8>,
        limit: i64,
        revision: i64,
    ) -> Result<pb::RangeResponse, Status> {
        let request = pb::RangeRequest {
            key: key.into(),
            range_end: end.into(),
            limit,
            revision,
            ..Default::default()
        };
        Ok(self.kv().range(request).await?.into_inner())
    }

    pub(super) async fn count(&self, prefix: &Prefix) -> Result<u64, ToolError> {
        let request = pb::RangeRequest {
            key: prefix.first().into(),
            range_end: prefix.end().into(),
            count_only: true,
            ..Default::default()
        };
        let count = self.kv().range(request).await?.into_inner().count;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    pub(super) async fn hash_kv(&self, revision: i64) -> Result<pb::HashKvResponse, Status> {
        let mut client = MaintenanceClient::new(self.channel());
        Ok(client.hash_kv(pb::HashKvRequest { revision }).await?.into_inner())
    }

    /// Compacts, and waits until the rows are gone.
    pub(super) async fn compact(&self, revision: i64) -> Result<(), ToolError> {
        let request = pb::CompactionRequest { revision, physical: true };
        Ok(self.kv().compact(request).await.map(drop)?)
    }

    pub(super) async fn write(&self, ops: Vec<pb::RequestOp>) -> Result<i64, ToolError> {
        let request = pb::TxnRequest { success: ops, ..Default::default() };
        let answer = self.kv().txn(request).await?.into_inner();
        Ok(answer.header.unwrap_or_default().revision)
    }
}

#[cfg(test)]
mod tests {
    use super::Prefix;

    #[test]
    fn a_prefix_ends_before_the_next_key_without_it() {
        assert_eq!(Prefix::new("a/").end(), b"a0");
        assert_eq!(Prefix::new("").end(), [0]);
        assert!(Prefix::new("").is_everything() && !Prefix::new("a").is_everything());
    }
}
