//! What must hold of a member after a bad input: it lives and answers, its pairs are the same, its
//! memory grew by no more than it may, its log tells of no panic.
//!
//! Must not know: what the input was.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use proto::etcdserverpb::{HashKvRequest, RangeRequest};
use services::etcdserverpb::kv_client::KvClient;
use services::etcdserverpb::maintenance_client::MaintenanceClient;

use crate::process::{Member, dial};

/// A read must be answered within this time, whatever others send.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// A member as it was before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    hash: (u32, i64),
    resident_bytes: u64,
}

/// Looks at a member.
pub(super) async fn before(member: &Member) -> Result<Before> {
    Ok(Before { hash: hash(member).await?, resident_bytes: member.resident_bytes() })
}

impl Before {
    /// The revision of before.
    pub(super) fn revision(&self) -> i64 {
        self.hash.1
    }

    /// The memory of before, with the pairs of now: somebody wrote on purpose.
    pub(super) async fn with_pairs_of(self, member: &Member) -> Result<Self> {
        Ok(Before { hash: hash(member).await?, ..self })
    }
}

/// Looks again. *Errors*: what does not hold.
pub(super) async fn after(member: &Member, before: Before, growth_bytes_max: u64) -> Result<()> {
    let resident = member.resident_bytes();
    quiet_log(member)?;
    ensure!(resident > 0, "the member has ended; its output: {}", member.tail());
    let grown = resident.saturating_sub(before.resident_bytes);
    ensure!(
        grown <= growth_bytes_max,
        "its memory grew by {} MiB, {} MiB are allowed",
        grown >> 20,
        growth_bytes_max >> 20
    );
    let hash = hash(member).await?;
    ensure!(hash == before.hash, "its pairs were {:?} and are {hash:?}", before.hash);
    ensure!(read(member).await? <= READ_WITHIN, "a read is slow afterwards");
    Ok(())
}

/// *Errors*: the log tells of a panic.
pub(super) fn quiet_log(member: &Member) -> Result<()> {
    let log = std::fs::read(member.log()).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let panic = log.lines().find(|line| line.contains("panicked"));
    ensure!(panic.is_none(), "a panic: {}", panic.unwrap_or_default());
    Ok(())
}

/// How long a linearizable read on a connection of its own took.
pub(super) async fn read(member: &Member) -> Result<Duration> {
    let began = Instant::now();
    let mut kv = KvClient::new(dial(member.client_url()).await?);
    let range = RangeRequest { key: "a".into(), ..RangeRequest::default() };
    tokio::time::timeout(4 * READ_WITHIN, kv.range(range)).await??;
    Ok(began.elapsed())
}

/// Hash of all pairs, and the revision.
async fn hash(member: &Member) -> Result<(u32, i64)> {
    let mut client = MaintenanceClient::new(dial(member.client_url()).await?);
    let answer = client.hash_kv(HashKvRequest { revision: 0 }).await?.into_inner();
    Ok((answer.hash, answer.hash_revision))
}
