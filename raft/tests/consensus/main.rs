//! Whole members in one process: alone, three or five of them, over a network in memory.

mod cluster;
mod identities;
mod membership;
mod single;
mod snapshot_wire;
mod snapshots;
mod three;
