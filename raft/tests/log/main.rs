//! The Raft log from outside: durability, damage, and openraft's own suite.
//!
//! Must not know: how the log's modules work together.

mod damage;
mod durability;
mod power_cut;
mod suite;
mod support;
