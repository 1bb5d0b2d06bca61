//! Calls that a room must not make, and the few files that are the seams through which they are
//! made.
//!
//! The four seams are clock, randomness, engine and log files, transport: nothing else may read
//! time, randomness or disk, or a cluster could not run seeded in one process. A file is added here
//! with its reason, or not at all.

use super::Rule;

/// A family of paths that rooms must not name.
#[derive(Debug)]
pub(crate) struct Ban {
    /// The rule it is reported under.
    pub(crate) rule: Rule,
    /// The rooms it holds in.
    pub(crate) rooms: &'static [&'static str],
    /// The paths: each bans itself and everything below it.
    pub(crate) paths: &'static [&'static str],
    /// Files of those rooms where it does not hold: the seams.
    pub(crate) seams: &'static [&'static str],
    /// Whether tests of those rooms are free of it.
    pub(crate) tests_are_free: bool,
    /// Why, and what to do instead.
    pub(crate) why: &'static str,
}

/// Rooms whose code runs inside a simulated member.
const SIMULATED: &[&str] = &["proto", "store", "raft", "watch", "server", "sim"];

/// Every ban.
pub(crate) const BANS: &[Ban] = &[
    Ban {
        rule: Rule::Clock,
        rooms: SIMULATED,
        // tokio's own time is the simulation's: its runtime there is paused and steps by itself.
        paths: &["std::time::Instant::now", "std::time::SystemTime", "std::time::UNIX_EPOCH"],
        // The last three measure how long something took, for metrics, and decide nothing by it.
        seams: &[
            "server/src/clock.rs",
            "raft/src/log/drive.rs",
            "raft/src/apply_task.rs",
            "server/src/metrics/calls.rs",
        ],
        tests_are_free: true,
        why: "time is read through the Clock seam",
    },
    Ban {
        rule: Rule::Randomness,
        rooms: SIMULATED,
        paths: &[
            "rand::rng",
            "rand::random",
            "rand::thread_rng",
            "rand::rngs::OsRng",
            "rand::rngs::ThreadRng",
            "getrandom",
            "std::collections::hash_map::RandomState",
            "std::hash::RandomState",
        ],
        // Secrets must not follow from a seed.
        seams: &["server/src/random.rs"],
        tests_are_free: false,
        why: "randomness comes from the Rng seam, which is seeded",
    },
    Ban {
        rule: Rule::Environment,
        rooms: &["proto", "store", "store_rocks", "raft", "raft_transport", "watch", "server"],
        paths: &["std::env"],
        seams: &[],
        tests_are_free: true,
        why: "arguments and the environment are read in engram/ and passed on",
    },
    Ban {
        rule: Rule::Disk,
        rooms: &["proto", "store", "raft", "raft_transport", "watch", "server"],
        paths: &["std::fs", "tokio::fs"],
        // The log's real files; the operating system's own accounts of this process; the nameless
        // file that a snapshot is sent from, which no simulated client asks for; keys, certificates
        // and sockets that the configuration names.
        seams: &[
            "raft/src/log/files.rs",
            "server/src/metrics/process.rs",
            "server/src/snapshot.rs",
            "server/src/tls/files.rs",
            "server/src/tls/self_signed.rs",
            "server/src/doors/listen.rs",
        ],
        tests_are_free: true,
        why: "the disk is reached through Engine and LogFiles",
    },
    Ban {
        rule: Rule::Purity,
        rooms: &["proto", "store"],
        paths: &["tokio", "std::thread", "std::net", "std::process", "futures", "rand"],
        seams: &[],
        tests_are_free: true,
        why: "the store is pure: it gets batches and readers, and starts nothing",
    },
    Ban {
        rule: Rule::DefaultHash,
        rooms: &["store"],
        paths: &["std::collections::HashMap", "std::collections::HashSet"],
        seams: &[],
        tests_are_free: true,
        why: "iteration order would differ between members: use BTreeMap, BTreeSet or a sorted Vec",
    },
    Ban {
        rule: Rule::Exit,
        rooms: &[
            "proto",
            "store",
            "store_rocks",
            "raft",
            "raft_transport",
            "watch",
            "server",
            "cluster_tools",
        ],
        paths: &["std::process::exit", "std::process::abort"],
        seams: &[],
        tests_are_free: true,
        why: "only the binary ends the process; return an error",
    },
];
