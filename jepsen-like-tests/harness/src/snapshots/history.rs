//! The history that goes from file to file: puts, rewrites, transactions, deletions, leases,
//! compactions, values longer than a page.

use anyhow::{Context as _, Result};
use proto::etcdserverpb as pb;
use proto::etcdserverpb::request_op::Request;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::lease_client::LeaseClient;
use tonic::transport::Channel;

use super::Plan;
use super::tools::Tools;
use crate::process::dial;

/// Changes made while a live copy runs.
const LATER_CHANGES: u64 = 200;

/// Makes a history on a fresh server.
pub(super) async fn make(url: &str, plan: Plan) -> Result<()> {
    let channel = dial(url).await?;
    let mut kv = KvClient::new(channel.clone());
    let mut leases = LeaseClient::new(channel);
    let mut dice = ChaCha8Rng::seed_from_u64(plan.seed);
    for id in 1..=5_i64 {
        leases.lease_grant(pb::LeaseGrantRequest { id, ttl: 3600 + id }).await?;
    }
    for number in 0..plan.keys {
        let lease = if dice.random_ratio(1, 10) { dice.random_range(1..=5) } else { 0 };
        kv.put(put(&mut dice, &format!("key/{number}"), lease)).await?;
        if number == plan.keys / 2 {
            let revision = i64::try_from(number)? - 10;
            kv.compact(pb::CompactionRequest { revision, physical: true }).await?;
        }
        if dice.random_ratio(1, 4) {
            let again = dice.random_range(0..=number);
            kv.put(put(&mut dice, &format!("key/{again}"), 0)).await?;
        }
        if dice.random_ratio(1, 8) {
            kv.delete_range(delete(&format!("key/{}", dice.random_range(0..=number)))).await?;
        }
    }
    let op = |request| pb::RequestOp { request: Some(request) };
    let mut success: Vec<_> =
        (0..20).map(|n| op(Request::RequestPut(put(&mut dice, &format!("txn/{n}"), 0)))).collect();
    success.push(op(Request::RequestDeleteRange(pb::DeleteRangeRequest {
        key: "key/1".into(),
        range_end: "key/2".into(),
        ..Default::default()
    })));
    kv.txn(pb::TxnRequest { success, ..Default::default() }).await?;
    let long = pb::PutRequest {
        key: vec![0xff; 3000].into(),
        value: vec![0; 1 << 20].into(),
        ..Default::default()
    };
    kv.put(long).await?;
    Ok(())
}

/// Goes on changing; with `compacting`, the history is compacted in between.
pub(super) async fn go_on(channel: Channel, seed: u64, compacting: bool) -> Result<()> {
    let mut kv = KvClient::new(channel);
    let mut dice = ChaCha8Rng::seed_from_u64(seed ^ 0x9e37);
    for number in 0..LATER_CHANGES {
        let key = format!("key/{}", dice.random_range(0..LATER_CHANGES));
        let header = match dice.random_ratio(1, 5) {
            true => kv.delete_range(delete(&key)).await?.into_inner().header,
            false => kv.put(put(&mut dice, &key, 0)).await?.into_inner().header,
        };
        if compacting && number == LATER_CHANGES / 2 {
            let revision = header.unwrap_or_default().revision - 5;
            kv.compact(pb::CompactionRequest { revision, physical: false }).await?;
        }
    }
    Ok(())
}

fn put(dice: &mut ChaCha8Rng, key: &str, lease: i64) -> pb::PutRequest {
    let value: Vec<u8> = (0..dice.random_range(0..1000)).map(|_| dice.random()).collect();
    pb::PutRequest { key: key.to_owned().into(), value: value.into(), lease, ..Default::default() }
}

fn delete(key: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: key.to_owned().into(), ..Default::default() }
}

/// What a server holds, as etcdctl tells it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    keys: Value,
    leases: Vec<String>,
}

/// Asks a server for all keys and leases.
pub(super) fn holds(tools: &Tools, url: &str) -> Result<Held> {
    let all = tools.etcdctl(url, &["get", "", "--prefix", "-w", "json"])?;
    let keys = serde_json::from_str::<Value>(&all)?["kvs"].take();
    let mut leases: Vec<String> =
        tools.etcdctl(url, &["lease", "list"])?.lines().map(str::to_owned).collect();
    leases.sort();
    Ok(Held { keys, leases })
}

/// Users and roles, which stay switched off.
pub(super) fn make_users(tools: &Tools, url: &str) -> Result<()> {
    tools.etcdctl(url, &["user", "add", "root:secret"])?;
    tools.etcdctl(url, &["user", "add", "ann:secret"])?;
    tools.etcdctl(url, &["role", "add", "reader"])?;
    tools.etcdctl(url, &["role", "grant-permission", "reader", "read", "key/", "key0"])?;
    tools.etcdctl(url, &["user", "grant-role", "ann", "reader"]).map(drop)
}

/// Users and roles, as etcdctl tells them.
pub(super) fn users(tools: &Tools, url: &str) -> Result<Vec<String>> {
    let asked = [
        &["user", "list"][..],
        &["role", "list"],
        &["user", "get", "ann"],
        &["role", "get", "reader"],
    ];
    asked.iter().map(|words| tools.etcdctl(url, words)).collect()
}

/// What a guarded server lets whom do, as etcdctl tells it: users, roles, refusals.
pub(super) fn rights(tools: &Tools, url: &str) -> Result<Vec<String>> {
    let root = |words: &[&str]| tools.etcdctl_as(url, "root:secret", words);
    let refused = |user: Option<&str>, words: &[&str]| -> Result<String> {
        let answer = match user {
            Some(user) => tools.etcdctl_as(url, user, words),
            None => tools.etcdctl(url, words),
        };
        let error = answer.err().context("it was let in")?.to_string();
        // The last line is etcdctl's verdict; those before name this run's ports.
        Ok(error.lines().last().unwrap_or_default().to_owned())
    };
    Ok(vec![
        root(&["user", "list"])?,
        root(&["role", "list"])?,
        root(&["role", "get", "reader"])?,
        tools.etcdctl_as(url, "ann:secret", &["get", "key/", "key0", "--keys-only"])?,
        refused(Some("ann:secret"), &["get", "txn/1"])?,
        refused(Some("ann:secret"), &["put", "key/1", "x"])?,
        refused(Some("ann:wrong"), &["get", "key/1"])?,
        refused(None, &["get", "key/1"])?,
    ])
}
