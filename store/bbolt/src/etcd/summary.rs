//! What `etcdutl snapshot status` tells of a file.

use std::collections::BTreeSet;

use prost::Message as _;
use proto::mvccpb::KeyValue;

use super::names;
use crate::error::BboltError;
use crate::reader::{Database, Row};
use crate::source::Source;

/// A database file in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// CRC-32C of all buckets' names, keys and values, in order.
    pub hash: u32,
    /// The revision of the newest row.
    pub revision: i64,
    /// Keys that exist at that revision.
    pub total_keys: u64,
    /// *Units*: bytes of all pages.
    pub total_bytes: u64,
    /// etcd's version of the layout; empty before 3.6.
    pub version: String,
}

/// Checks how the file's pages hang together, then reads every row.
///
/// *Errors*: damage. *Units*: it takes memory for every key.
pub fn summary<S: Source>(database: &Database<S>) -> Result<Summary, BboltError> {
    database.check()?;
    let mut sum = Summary { total_bytes: database.bytes(), ..Summary::default() };
    let mut buckets = Vec::new();
    database.rows(&database.root(), &mut |name, row| match row {
        Row::Bucket(bucket) => {
            buckets.push((name.to_vec(), bucket));
            Ok(())
        }
        Row::Value(_) => Err(BboltError::row(names::KEY, "the root holds a value")),
    })?;
    let mut keys: BTreeSet<Vec<u8>> = BTreeSet::new();
    for (name, bucket) in buckets {
        sum.hash = crc32c::crc32c_append(sum.hash, &name);
        let history = name == names::KEY.as_bytes();
        database.rows(&bucket, &mut |key, row| {
            let Row::Value(value) = row else {
                return Err(BboltError::row(names::KEY, "a bucket holds another one"));
            };
            sum.hash = crc32c::crc32c_append(crc32c::crc32c_append(sum.hash, key), value);
            if history {
                let (main, _, tombstone) = super::read::revision(names::KEY, key)?;
                let kv = KeyValue::decode(value)
                    .map_err(|error| BboltError::row(names::KEY, error.to_string()))?;
                sum.revision = main;
                match tombstone {
                    true => keys.remove(&kv.key[..]),
                    false => keys.insert(kv.key.to_vec()),
                };
            }
            Ok(())
        })?;
    }
    sum.total_keys = keys.len() as u64;
    sum.version = super::contents(database)?.storage_version;
    Ok(sum)
}
