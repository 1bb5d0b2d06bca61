//! What Kubernetes kinds are: the facts of one release compiled into one schema, and what can be
//! done by it alone: codecs, patches, documents.
//!
//! Pure: no clock, no sockets, no disk. Must not know: storage, HTTP, any single kind's behaviour.

pub mod decode;
pub mod duration;
pub mod facts;
pub mod openapi;
pub mod patch;
pub mod protobuf;
pub mod quantity;
pub mod time;
pub mod typed;
pub mod types;

/// An object, or a part of one. Its maps are sorted by key.
pub type Value = serde_json::Value;
