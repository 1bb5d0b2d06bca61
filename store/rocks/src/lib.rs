//! The RocksDB engine under the store.
