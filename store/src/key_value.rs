//! Stored key-values: `mvccpb.KeyValue` as bytes, written once at apply and read in place ever
//! after.
//!
//! Invariant: the bytes are the canonical encoding, equal to etcd's, because they are stored, sent
//! in answers and events, and hashed by `HashKV`. Bytes that do not decode are damage, since only
//! this room writes them.

use bytes::Bytes;
pub(crate) use proto::spliced::KeyValueView;

use crate::error::StorageError;

/// Reads a stored row.
pub(crate) fn read(row: &[u8]) -> Result<KeyValueView<'_>, StorageError> {
    KeyValueView::parse(row)
        .map_err(|error| StorageError::Damaged(format!("a stored KeyValue: {error}")))
}

/// The key as a part of its encoded `KeyValue`, where it comes first: no copy.
pub(crate) fn key_of(row: &Bytes, key: &[u8]) -> Bytes {
    if key.is_empty() {
        return Bytes::new();
    }
    let start = 1 + prost::encoding::encoded_len_varint(key.len() as u64);
    let shared = row.slice(start..start + key.len());
    debug_assert_eq!(shared, key, "the key is the first field");
    shared
}

/// What watchers are told of a deleted key: its name and the revision that deleted it.
pub(crate) fn deleted(key: &[u8], revision: i64) -> Bytes {
    KeyValueView { key, mod_revision: revision, ..KeyValueView::default() }.encode().0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_its_row() {
        for length in [0, 1, 127, 128, 20_000] {
            let key = vec![b'k'; length];
            let kv = KeyValueView { key: &key, version: 1, value: b"v", ..Default::default() };
            let row = kv.encode().0;
            assert_eq!(key_of(&row, &key), key);
            assert_eq!(read(&row).expect("own bytes"), kv);
        }
    }

    #[test]
    fn torn_rows_are_damage() {
        let row = deleted(b"key", 7);
        assert!(read(&row[..row.len() - 1]).is_err());
    }
}
