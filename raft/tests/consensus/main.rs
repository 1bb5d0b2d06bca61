//! Whole members in one process: alone, three or five of them, over a network in memory.

mod cluster;
mod identities;
mod membership;
mod single;
mod snapshots;
mod three;
mod votes;
mod wire;
