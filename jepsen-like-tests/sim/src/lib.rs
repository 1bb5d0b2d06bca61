//! Breaks a whole cluster from inside one seeded process.
//!
//! Three members, each the whole `server::Member` with its services, run as tasks of one paused,
//! single-threaded runtime; clients call the services in process. What members touch outside
//! themselves is ours: links that delay, lose, repeat and part; log files that forget what was not
//! synced; engines that forget what was not flushed; clocks that move only when everybody waits.
//!
//! Not in it: sockets, TLS, passwords (whose salts no seed decides).
//!
//! ```text
//!  clients  ──► KV ────┐            ┌─ links (network, wire): seeded weather, cuts
//!  holders  ──► Lease ─┤  member x3 ├─ log files (disk): a crash loses unsynced sectors
//!  watchers ──► Watch ─┤            ├─ engines (state): a crash loses what is not flushed
//!  nemesis ─ crash, cut┘     │      └─ clocks
//!                            └──► observers ──► ledger, lease book: what all must agree on
//! ```
//!
//! Invariants
//! - A run is a function of its seed: every event goes into a [`Trace`], and two runs of a seed
//!   have the same one.
//! - Checks are made at every event, not only at the end; the first thing that is wrong ends the
//!   run.
//! - What the simulation claims to find, it is shown to find: [`Canary`] plants bugs.
//!
//! It must not know how the parts work, only what they promise; nor sockets, threads, real time.

mod canary;
mod clients;
mod clock;
mod cluster;
mod disk;
mod durability;
mod faults;
mod findings;
mod holders;
mod lease_book;
mod ledger;
mod network;
mod observer;
mod panics;
mod plan;
mod random;
mod requests;
mod run;
mod state;
mod trace;
mod verdict;
mod watchers;
mod wire;
mod world;

pub use canary::Canary;
pub use run::{Outcome, Settings, first_difference, run};
pub use trace::Trace;
