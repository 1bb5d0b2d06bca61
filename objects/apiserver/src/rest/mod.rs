//! The HTTP door.
//!
//! A request passes `path` and `query` (what is asked for), `negotiate` (in which form), the verbs
//! of the registry, and leaves as an `answer`. Must not know: how the store works.

mod answer;
mod discovery;
mod negotiate;
mod path;
mod query;
mod yaml;
