//! etcd's database file: bbolt's pages and buckets, read and written, and etcd's rows in them.
//!
//! - [`Database`] reads a file, whatever its bytes are: what is wrong is an error, never a panic
//!   and never more memory than a page of each level.
//! - [`Writer`] makes a file from sorted rows in one pass.
//! - [`etcd`] knows what lies in which bucket.
//!
//! Must not know: our own store, the log, sockets, clocks.

mod check;
mod error;
pub mod etcd;
mod fuzz;
mod page;
mod pages;
mod reader;
mod source;
mod trailer;
mod writer;

pub use error::BboltError;
pub use fuzz::{FUZZ_BUCKETS, fuzz_read};
pub use reader::{Bucket, DEPTH_MAX, Database, PAGE_BYTES_MAX, Row, VisitRow};
pub use source::Source;
pub use trailer::{TRAILER_BYTES, check_trailer, has_trailer};
pub use writer::{BucketWriter, Writer};
