//! The proof: both sides read once more, at one moment each, and compared.

use sha2::{Digest as _, Sha256};

use super::Work;
use super::feed::Feed;
use super::side::{Prefix, Side};
use crate::ToolError;
use crate::catalogue::Id;

/// Keys read at a time.
const PAGE_KEYS: i64 = 1000;
/// How often a proof is begun anew because a side was compacted meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// What a side holds at a moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Held {
    keys: u64,
    sum: String,
}

impl Work {
    /// Compares both sides. *Errors*: they differ.
    pub(super) async fn prove(&mut self, feed: &mut Feed) -> Result<(), ToolError> {
        for _ in 0..ATTEMPTS_MAX {
            let (source, target) = (self.applied, self.to.header().await?.revision);
            let ours = held(&self.to, &self.range, target, self.exact).await;
            let theirs = held(&self.from, &self.range, source, self.exact).await;
            match (theirs, ours) {
                (Ok(theirs), Ok(ours)) => return self.judge(&theirs, &ours, source, target).await,
                (Err(status), _) | (_, Err(status)) if status.code() == tonic::Code::OutOfRange => {
                }
                (Err(status), _) | (_, Err(status)) => return Err(status.into()),
            }
            self.catch_up(feed).await?;
        }
        let text = "the source compacts faster than it can be compared";
        Err(ToolError::of(Id::CopyDiffers, text))
    }

    async fn judge(
        &self,
        theirs: &Held,
        ours: &Held,
        source: i64,
        target: i64,
    ) -> Result<(), ToolError> {
        self.bar.finish_and_clear();
        if theirs != ours {
            let text = format!(
                "the sides differ: the source has {} keys at revision {source}, the target {} at \
                 {target}. If nobody else writes to the target, this is a bug",
                theirs.keys, ours.keys
            );
            return Err(ToolError::of(Id::CopyDiffers, text));
        }
        println!(
            "equal: {} keys at revision {source} of the source and {target} of the target, \
             sha256 {}",
            ours.keys, ours.sum
        );
        if self.exact {
            self.compare_hashes(source).await?;
        }
        Ok(())
    }

    /// In an exact copy the hashes of the history are equal too, once both are compacted alike: the
    /// source's compaction is made again.
    async fn compare_hashes(&self, revision: i64) -> Result<(), ToolError> {
        let theirs = match self.from.hash_kv(revision).await {
            Ok(theirs) => theirs,
            Err(status) if status.code() == tonic::Code::OutOfRange => {
                println!("HashKV is not compared: the source has compacted past {revision}");
                return Ok(());
            }
            Err(status) => return Err(status.into()),
        };
        let mut ours = self.to.hash_kv(revision).await?;
        if ours.compact_revision < theirs.compact_revision {
            self.to.compact(theirs.compact_revision).await?;
            ours = self.to.hash_kv(revision).await?;
        }
        match theirs.hash == ours.hash {
            true => {
                println!("HashKV equal: {} at revision {revision}", ours.hash);
                Ok(())
            }
            false => Err(ToolError::of(
                Id::CopyDiffers,
                format!(
                    "HashKV at revision {revision} is {} in the source, compacted at {}, and {} in \
                     the target, compacted at {}",
                    theirs.hash, theirs.compact_revision, ours.hash, ours.compact_revision
                ),
            )),
        }
    }
}

/// Sums up all keys at a revision: key, value, lease; in an exact copy revisions and version too.
pub(super) async fn held(
    side: &Side,
    range: &Prefix,
    revision: i64,
    exact: bool,
) -> Result<Held, tonic::Status> {
    let (mut key, end) = (range.first(), range.end());
    let (mut keys, mut sum) = (0, Sha256::new());
    loop {
        let page = side.page(key, end.clone(), PAGE_KEYS, revision).await?;
        for kv in &page.kvs {
            keys += 1;
            for bytes in [&kv.key, &kv.value] {
                sum.update((bytes.len() as u64).to_be_bytes());
                sum.update(bytes);
            }
            sum.update(kv.lease.to_be_bytes());
            if exact {
                for number in [kv.create_revision, kv.mod_revision, kv.version] {
                    sum.update(number.to_be_bytes());
                }
            }
        }
        key = page.kvs.last().map(|kv| [&kv.key[..], &[0]].concat()).unwrap_or_default();
        if !page.more {
            let sum = sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            return Ok(Held { keys, sum });
        }
    }
}
