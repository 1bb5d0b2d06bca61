//! The registry: every verb of the API over any resource, by its declarative row.
//!
//! A request comes in as a `Target` (the row, the namespace, the name, the subresource), options
//! and a normalised value; it is prepared, checked and written by compare-and-swap, and leaves as
//! an `Answer` or as a `Status`.
//!
//! Invariants:
//! - The generic verbs name no kind; what is special about one stands in its row (`rules`,
//!   `selectable`, `versions`), in its hooks (`kinds`), or is a subresource with a file of its own.
//! - A write that was answered is in the store; a refused one changed nothing.
//! - Several registries may stand on one store: whatever must be unique is decided by the store.
//!
//! Must not know: HTTP, media types (but for those of patches), how the store is reached.

mod addresses;
mod cidr;
mod create;
mod delete;
mod lifecycle;
mod names;
mod object;
mod options;
mod patch;
mod pods;
mod prepare;
mod read;
mod refusals;
mod request;
mod row;
mod rules;
mod scale;
mod seams;
mod selectable;
mod service_type;
mod serving;
mod state;
mod strict;
mod update;
mod versions;

#[cfg(test)]
mod tests;

pub use cidr::Cidr;
pub use options::{
    CreateOptions, DeleteOptions, FieldValidation, GetOptions, ListOptions, PatchOptions,
    Preconditions, Propagation, Query, UpdateOptions, WriteOptions,
};
pub use refusals::of_watch as watch_refusal;
pub use request::{Answer, Body, Input, PatchKind, RequestContext, Target, UserInfo};
pub use row::{BodyType, Resource};
pub use rules::{DefaultPropagation, Generation, Grace, Rule, Scale, StatusMetadata, rule_of};
pub use seams::{Clock, Entropy, Seams, SystemClock, SystemEntropy};
pub use serving::{Registry, RegistryOptions};
