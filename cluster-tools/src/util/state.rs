//! The state's part of `util`: dump, status, hashkv, verify, defrag.
//!
//! Must not know: rows, families, files, nor which engine holds them.

use std::path::Path;

use proto::etcdserverpb::RangeRequest;
use store::{Reader, Store, StoreOptions};

use super::print::{self, Format};
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

/// The state in numbers alone.
pub(super) fn summary_of(open: OpenState, directory: &Path) -> Result<(), ToolError> {
    summary(&reader(open, directory)?)
}

/// The hash of the history.
pub(super) fn hash_kv(
    open: OpenState,
    directory: &Path,
    revision: i64,
    format: Format,
) -> Result<(), ToolError> {
    print_hash(&reader(open, directory)?, revision, format)
}

/// The hash of the history up to a revision; 0: the latest.
pub(super) fn print_hash(reader: &Reader, revision: i64, format: Format) -> Result<(), ToolError> {
    let hash = reader
        .hash_kv(store::Revision(revision))
        .map_err(|error| ToolError::Damaged(error.to_string()))?;
    print::hash(&hash, format)
}

/// Rewrites the state's files without what was removed.
pub(super) fn defrag(open: OpenState, directory: &Path) -> Result<(), ToolError> {
    let reader = reader(open, directory)?;
    let before = reader.sizes().total_bytes;
    reader.reclaim().map_err(|error| ToolError::Damaged(error.to_string()))?;
    let after = reader.sizes().total_bytes;
    line(format_args!("state: {before} bytes before, {after} bytes now"))
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
