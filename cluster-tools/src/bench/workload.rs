//! The requests of each workload.
//!
//! Must not know: how many clients there are, nor how time is taken.

use bytes::Bytes;
use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request;
use proto::etcdserverpb::{Compare, PutRequest, RangeRequest, RequestOp, TxnRequest};
use services::etcdserverpb::kv_client::KvClient;
use tonic::transport::Channel;

use super::{Load, Workload};

/// Puts in one transaction of `fill`; etcd allows 128.
const FILL_BATCH_KEYS: u64 = 100;

/// Keys on a page: what kube-apiserver's clients ask for.
const PAGE_KEYS: i64 = 500;

/// One client's stream of requests.
pub(crate) struct Worker {
    client: KvClient<Channel>,
    workload: Workload,
    keys: u64,
    key_bytes: usize,
    value: Bytes,
    random: u64,
    next_fill: u64,
    fill_end: u64,
    /// The mod revision a `cas` client saw last for its own key; 0 before the first.
    mod_revision: i64,
    own_key: u64,
}

impl Worker {
    /// The worker with this number among `load.clients`.
    pub(crate) fn new(channel: Channel, load: &Load, workload: Workload, number: usize) -> Self {
        let clients = load.clients as u64;
        let share = load.keys.div_ceil(clients);
        let number = number as u64;
        Self {
            client: KvClient::new(channel).max_decoding_message_size(usize::MAX),
            workload,
            keys: load.keys,
            key_bytes: load.key_bytes,
            value: Bytes::from(vec![b'v'; load.value_bytes]),
            random: number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
            next_fill: (number * share).min(load.keys),
            fill_end: ((number + 1) * share).min(load.keys),
            mod_revision: 0,
            own_key: number % load.keys,
        }
    }

    /// Whether `fill` has written this client's share.
    pub(crate) fn done(&self) -> bool {
        self.workload == Workload::Fill && self.next_fill >= self.fill_end
    }

    /// Sends one request and waits; returns how many operations it counts for.
    pub(crate) async fn step(&mut self) -> Result<u64, tonic::Status> {
        match self.workload {
            Workload::Fill => self.fill().await,
            Workload::Put => self.put().await,
            Workload::Cas => self.cas().await,
            Workload::Get => self.get(false).await,
            Workload::GetSerializable => self.get(true).await,
            Workload::Page => self.page().await,
        }
    }

    async fn fill(&mut self) -> Result<u64, tonic::Status> {
        let end = (self.next_fill + FILL_BATCH_KEYS).min(self.fill_end);
        let success: Vec<_> = (self.next_fill..end)
            .map(|number| RequestOp {
                request: Some(Request::RequestPut(self.put_request(number))),
            })
            .collect();
        let written = success.len() as u64;
        self.client.txn(TxnRequest { success, ..TxnRequest::default() }).await?;
        self.next_fill = end;
        Ok(written)
    }

    async fn put(&mut self) -> Result<u64, tonic::Status> {
        let number = self.draw();
        self.client.put(self.put_request(number)).await?;
        Ok(1)
    }

    async fn cas(&mut self) -> Result<u64, tonic::Status> {
        let key = self.key(self.own_key);
        let range = RangeRequest { key: key.clone(), ..RangeRequest::default() };
        let request = TxnRequest {
            compare: vec![Compare {
                result: CompareResult::Equal as i32,
                target: CompareTarget::Mod as i32,
                key,
                target_union: Some(TargetUnion::ModRevision(self.mod_revision)),
                ..Compare::default()
            }],
            success: vec![RequestOp {
                request: Some(Request::RequestPut(self.put_request(self.own_key))),
            }],
            failure: vec![RequestOp { request: Some(Request::RequestRange(range)) }],
        };
        let answer = self.client.txn(request).await?.into_inner();
        self.mod_revision = seen_revision(&answer);
        Ok(1)
    }

    async fn get(&mut self, serializable: bool) -> Result<u64, tonic::Status> {
        let key = self.key(self.random % self.keys);
        self.draw();
        self.client.range(RangeRequest { key, serializable, ..RangeRequest::default() }).await?;
        Ok(1)
    }

    async fn page(&mut self) -> Result<u64, tonic::Status> {
        let number = self.draw();
        let request = RangeRequest {
            key: self.key(number),
            range_end: Bytes::from_static(b"\0"),
            limit: PAGE_KEYS,
            ..RangeRequest::default()
        };
        self.client.range(request).await?;
        Ok(1)
    }

    fn put_request(&self, number: u64) -> PutRequest {
        PutRequest { key: self.key(number), value: self.value.clone(), ..PutRequest::default() }
    }

    /// `/registry/bench/<number>`, padded on the left with zeros to the wanted length.
    fn key(&self, number: u64) -> Bytes {
        const PREFIX: &str = "/registry/bench/";
        let digits = self.key_bytes.saturating_sub(PREFIX.len());
        Bytes::from(format!("{PREFIX}{number:0digits$}"))
    }

    /// The next number below `keys`; xorshift64*, so that a run can be repeated.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_F491_4F6C_DD1D) % self.keys
    }
}

/// The key's mod revision after a `cas`: the transaction's own when it wrote, else the one it read.
fn seen_revision(answer: &proto::etcdserverpb::TxnResponse) -> i64 {
    use proto::etcdserverpb::response_op::Response;
    if answer.succeeded {
        return answer.header.as_ref().map_or(0, |header| header.revision);
    }
    match answer.responses.first().and_then(|response| response.response.as_ref()) {
        Some(Response::ResponseRange(range)) => range.kvs.first().map_or(0, |kv| kv.mod_revision),
        _ => 0,
    }
}
