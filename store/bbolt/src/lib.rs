//! etcd's database file: bbolt's pages and buckets, read and written, and etcd's rows in them.
//!
//! Must not know: our own store, the log, sockets, clocks.
