//! The load: clients that read, write, swap and delete a few keys and note what they were told.
//!
//! Invariants: a client has one operation at a time; a value is written once; an error, whatever it
//! says, leaves a write's outcome unknown.
//!
//! Must not know: which fault is on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use proto::etcdserverpb::request_op::Request as Op;
use proto::etcdserverpb::response_op::Response as OpResponse;
use proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, TxnRequest,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use services::etcdserverpb::kv_client::KvClient;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use checkers::history::{Action, Found, Operation, Swapped};

/// How long a client waits for an answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(3);

/// Keys of a round: few enough that clients meet.
const KEYS: u64 = 12;

/// What the clients of a round share.
pub(crate) struct Load {
    seed: u64,
    round: u64,
    started: Instant,
    stopped: AtomicBool,
    acknowledged: AtomicU64,
    /// Raised by a fault; operations carry the epoch they were sent in.
    epoch: AtomicU64,
    acknowledged_of_epoch: Mutex<(u64, u64)>,
}

impl Load {
    pub(crate) fn new(seed: u64, round: u64) -> Self {
        Self {
            seed,
            round,
            started: Instant::now(),
            stopped: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            acknowledged_of_epoch: Mutex::new((0, 0)),
        }
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Acknowledged writes so far.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Begins an epoch: writes sent from now on are counted for it.
    pub(crate) fn next_epoch(&self) -> u64 {
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        *self.of_epoch() = (epoch, 0);
        epoch
    }

    /// Acknowledged writes that were sent in the epoch.
    pub(crate) fn acknowledged_in(&self, epoch: u64) -> u64 {
        let (current, count) = *self.of_epoch();
        if current == epoch { count } else { 0 }
    }

    fn acknowledge(&self, sent_in: u64) {
        self.acknowledged.fetch_add(1, Ordering::AcqRel);
        let mut of_epoch = self.of_epoch();
        if of_epoch.0 == sent_in {
            of_epoch.1 += 1;
        }
    }

    fn of_epoch(&self) -> std::sync::MutexGuard<'_, (u64, u64)> {
        self.acknowledged_of_epoch.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Starts the clients; each ends soon after [`Load::stop`] with its operations.
pub(crate) fn start(
    load: &Arc<Load>,
    urls: &[String],
    clients: usize,
) -> Vec<JoinHandle<Vec<Operation>>> {
    (0..clients)
        .map(|number| {
            let url = urls[number % urls.len()].clone();
            tokio::spawn(Client::new(Arc::clone(load), number).work(url))
        })
        .collect()
}

struct Client {
    load: Arc<Load>,
    number: usize,
    random: ChaCha8Rng,
    written: u64,
    operations: Vec<Operation>,
}

/// An answer's revision and what it said.
type Told = (i64, Action);

impl Client {
    fn new(load: Arc<Load>, number: usize) -> Self {
        let seed = load.seed ^ (load.round << 16) ^ ((number as u64) << 48);
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { load, number, random, written: 0, operations: Vec::new() }
    }

    async fn work(mut self, url: String) -> Vec<Operation> {
        let endpoint = Endpoint::from_shared(url).expect("the harness made this URL itself");
        let channel = endpoint.connect_timeout(Duration::from_secs(1)).connect_lazy();
        let mut kv = KvClient::new(channel);
        while !self.load.stopped.load(Ordering::Acquire) {
            if !self.one(&mut kv).await {
                // A member that is down refuses at once; this keeps the loop from spinning on it.
                crate::pause::pause(Duration::from_millis(5)).await;
            }
        }
        self.operations
    }

    /// One operation; false when it was not answered.
    async fn one(&mut self, kv: &mut KvClient<Channel>) -> bool {
        let key = format!("r{}/k{}", self.load.round, self.random.random_range(0..KEYS));
        let (sent_in, invoked_ns) = (self.load.epoch.load(Ordering::Acquire), self.load.now_ns());
        let kind = self.random.random_range(0..10);
        let (unknown, told) = match kind {
            0..3 => (None, read(kv, &key).await),
            3..7 => {
                let value = self.value();
                let unknown = Action::Write { value: value.clone() };
                (Some(unknown), write(kv, &key, value).await)
            }
            7..9 => return self.swap(kv, key).await,
            _ => (Some(Action::Delete { existed: None }), delete(kv, &key).await),
        };
        self.note(key, invoked_ns, sent_in, unknown, told)
    }

    /// Reads, then swaps what was read: two operations.
    async fn swap(&mut self, kv: &mut KvClient<Channel>, key: String) -> bool {
        let invoked_ns = self.load.now_ns();
        let Ok((revision, Action::Read { found })) = read(kv, &key).await else { return false };
        let action = Action::Read { found: found.clone() };
        self.note(key.clone(), invoked_ns, u64::MAX, None, Ok((revision, action)));
        let (sent_in, invoked_ns) = (self.load.epoch.load(Ordering::Acquire), self.load.now_ns());
        let value = self.value();
        let expected = found.as_ref().map(|found| found.value.clone());
        let unknown = Action::Swap { expected, value: value.clone(), outcome: None };
        let told = swap(kv, &key, found, value).await;
        self.note(key, invoked_ns, sent_in, Some(unknown), told)
    }

    fn value(&mut self) -> String {
        self.written += 1;
        format!("r{}c{}n{}", self.load.round, self.number, self.written)
    }

    fn note(
        &mut self,
        key: String,
        invoked_ns: u64,
        sent_in: u64,
        unknown: Option<Action>,
        told: Result<Told, Status>,
    ) -> bool {
        let client = self.number;
        match (told, unknown) {
            (Ok((revision, action)), _) => {
                if action.writes() {
                    self.load.acknowledge(sent_in);
                }
                let returned_ns = Some(self.load.now_ns());
                self.operations.push(Operation {
                    client,
                    key,
                    invoked_ns,
                    returned_ns,
                    revision,
                    action,
                });
                true
            }
            // Nobody listened: nothing was sent.
            (Err(status), Some(_)) if was_refused(&status) => false,
            (Err(_), Some(action)) => {
                let (returned_ns, revision) = (None, 0);
                self.operations.push(Operation {
                    client,
                    key,
                    invoked_ns,
                    returned_ns,
                    revision,
                    action,
                });
                false
            }
            // A read without an answer says nothing.
            (Err(_), None) => false,
        }
    }
}

/// Whether the connection was refused, so that the request never left.
fn was_refused(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let refused = error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        if refused {
            return true;
        }
        cause = error.source();
    }
    false
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(ANSWER_DEADLINE);
    request
}

fn revision(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

fn found(range: &RangeResponse) -> Option<Found> {
    range.kvs.first().map(|kv| Found {
        value: String::from_utf8_lossy(&kv.value).into_owned(),
        mod_revision: kv.mod_revision,
    })
}

async fn read(kv: &mut KvClient<Channel>, key: &str) -> Result<Told, Status> {
    let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
    let answer = kv.range(timed(request)).await?.into_inner();
    Ok((revision(answer.header.as_ref()), Action::Read { found: found(&answer) }))
}

async fn write(kv: &mut KvClient<Channel>, key: &str, value: String) -> Result<Told, Status> {
    let request = PutRequest {
        key: key.to_owned().into(),
        value: value.clone().into(),
        ..PutRequest::default()
    };
    let answer = kv.put(timed(request)).await?.into_inner();
    Ok((revision(answer.header.as_ref()), Action::Write { value }))
}

async fn delete(kv: &mut KvClient<Channel>, key: &str) -> Result<Told, Status> {
    let request =
        DeleteRangeRequest { key: key.to_owned().into(), ..DeleteRangeRequest::default() };
    let answer = kv.delete_range(timed(request)).await?.into_inner();
    let existed = Some(answer.deleted == 1);
    Ok((revision(answer.header.as_ref()), Action::Delete { existed }))
}

/// Kubernetes' update: put if the mod revision is as read, else read again.
async fn swap(
    kv: &mut KvClient<Channel>,
    key: &str,
    seen: Option<Found>,
    value: String,
) -> Result<Told, Status> {
    let mod_revision = seen.as_ref().map_or(0, |found| found.mod_revision);
    let key = bytes::Bytes::copy_from_slice(key.as_bytes());
    let put = PutRequest { key: key.clone(), value: value.clone().into(), ..PutRequest::default() };
    let range = RangeRequest { key: key.clone(), ..RangeRequest::default() };
    let request = TxnRequest {
        compare: vec![Compare {
            result: CompareResult::Equal as i32,
            target: CompareTarget::Mod as i32,
            key,
            target_union: Some(TargetUnion::ModRevision(mod_revision)),
            ..Compare::default()
        }],
        success: vec![RequestOp { request: Some(Op::RequestPut(put)) }],
        failure: vec![RequestOp { request: Some(Op::RequestRange(range)) }],
    };
    let answer = kv.txn(timed(request)).await?.into_inner();
    let outcome = if answer.succeeded {
        Swapped::Done
    } else {
        match answer.responses.first().and_then(|operation| operation.response.as_ref()) {
            Some(OpResponse::ResponseRange(range)) => Swapped::Refused(found(range)),
            other => return Err(Status::internal(format!("a range was asked for, not {other:?}"))),
        }
    };
    let expected = seen.map(|found| found.value);
    let revision = revision(answer.header.as_ref());
    Ok((revision, Action::Swap { expected, value, outcome: Some(outcome) }))
}
