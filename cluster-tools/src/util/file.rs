//! `util snapshot status` and `util hashkv` of a database file.
//!
//! Must not know: pages, and how a state is stored.

use std::path::Path;

use store::{Import, LogId};

use super::folder::Scratch;
use super::print::{self, Format};
use super::restore::{Bump, fill};
use super::{States, source, state};
use crate::ToolError;

/// The file in numbers, as `etcdutl snapshot status` prints them.
pub(super) fn status(path: &Path, format: Format) -> Result<(), ToolError> {
    let database = source::any_file(path)?;
    print::summary(&bbolt::etcd::summary(&database)?, format)
}

/// The hash of a file's history: the file is imported into a directory that is removed afterwards,
/// since what counts depends on the index of keys.
pub(super) fn hash_kv(
    states: States,
    path: &Path,
    revision: i64,
    format: Format,
) -> Result<(), ToolError> {
    let database = source::any_file(path)?;
    let scratch = Scratch::new()?;
    let damaged = |error: store::StorageError| ToolError::Damaged(error.to_string());
    let engine = (states.write)(scratch.path()).map_err(damaged)?;
    let nobody = LogId { term: 0, index: 1 };
    let import = Import::new(engine, nobody, Default::default()).map_err(damaged)?;
    let store = fill(import, &database, &Bump::NONE)?;
    state::print_hash(&store.reader(), revision, format)
}
