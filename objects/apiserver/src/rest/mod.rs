//! The HTTP door.
//!
//! A request passes `connections` (TLS and HTTP), `door` (who asks, how many, how long), then
//! `verbs` for resources or `pages` for the rest. `path`, `query` and `negotiate` read its head,
//! `body` its body; it leaves as an `answer`, shaped by `lists`, `watches` and `shapes`.
//!
//! Must not know: how the store works, what any single kind means.

mod answer;
mod ask;
mod body;
mod connections;
mod discovery;
mod door;
mod health;
mod limits;
mod lists;
mod metrics;
mod negotiate;
mod pages;
mod path;
mod query;
mod reviews;
mod shapes;
mod verbs;
mod watches;
mod yaml;

pub(crate) use ask::Ask;
pub(crate) use connections::{listen, serve};
pub(crate) use discovery::Discovery;
pub(crate) use door::Door;
pub use health::{Check, Health, Ping, Step};
pub(crate) use limits::Seats;
pub(crate) use metrics::Metrics;
pub use pages::KUBERNETES_VERSION;
pub(crate) use path::Path;
