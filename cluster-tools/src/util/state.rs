//! `util state-dump` and the state's part of `util verify`.
//!
//! Must not know: rows, families, files, nor which engine holds them.

use std::path::Path;

use proto::etcdserverpb::RangeRequest;
use store::{Reader, Store, StoreOptions};

use super::{OpenState, line};
use crate::ToolError;

/// Keys read at a time.
const PAGE_KEYS: i64 = 1000;

fn reader(open: OpenState, directory: &Path) -> Result<Reader, ToolError> {
    let damaged = |error: store::StorageError| ToolError::Damaged(error.to_string());
    let engine = open(directory).map_err(damaged)?;
    let store = Store::open(engine, StoreOptions::default()).map_err(damaged)?;
    Ok(store.reader())
}

/// The state in numbers, then every key at the latest revision with its revisions and sizes.
pub(super) fn dump(open: OpenState, directory: &Path) -> Result<(), ToolError> {
    let reader = reader(open, directory)?;
    summary(&reader)?;
    let mut key = vec![0];
    loop {
        let request = RangeRequest {
            key: key.clone().into(),
            range_end: vec![0].into(),
            limit: PAGE_KEYS,
            ..RangeRequest::default()
        };
        let page = reader.range(&request).map_err(|error| ToolError::Damaged(error.to_string()))?;
        for kv in &page.kvs {
            let kv = kv.decode().map_err(|error| ToolError::Damaged(error.to_string()))?;
            line(format_args!(
                "{} create {} mod {} version {} lease {:x} {} bytes",
                kv.key.escape_ascii(),
                kv.create_revision,
                kv.mod_revision,
                kv.version,
                kv.lease,
                kv.value.len()
            ))?;
            key = kv.key.to_vec();
        }
        if !page.more {
            return Ok(());
        }
        key.push(0);
    }
}

/// Opening checks the index against the rows; hashing reads every row.
pub(super) fn verify(open: OpenState, directory: &Path) -> Result<(), ToolError> {
    let reader = reader(open, directory)?;
    summary(&reader)?;
    let hash = reader
        .hash_kv(store::Revision(0))
        .map_err(|error| ToolError::Damaged(error.to_string()))?;
    line(format_args!("state: every row read, hash {}", hash.hash))
}

fn summary(reader: &Reader) -> Result<(), ToolError> {
    let (applied, digest) = reader.digest_at_applied();
    line(format_args!(
        "state: revision {}, compacted {}, {} keys, applied term {} index {}, digest {digest}",
        reader.revision(),
        reader.compacted_revision(),
        reader.key_count(),
        applied.term,
        applied.index
    ))
}
