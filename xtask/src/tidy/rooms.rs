//! The rooms, the arrows between them, and which room alone may name which crate: the one table of
//! it.
//!
//! Invariant: everything a member of the workspace depends on stands here, so that a new arrow or a
//! new crate is a change of this file and is seen in review. `docs/ARCHITECTURE.md` shows this
//! table; it is generated from here.

/// A room: one folder, one crate.
#[derive(Debug)]
pub(crate) struct Room {
    /// The name other rooms use in code (`store::Revision`).
    pub(crate) name: &'static str,
    /// The package's name.
    pub(crate) package: &'static str,
    /// The folder, from the root of the repository.
    pub(crate) folder: &'static str,
    /// What it is, in a sentence.
    pub(crate) is: &'static str,
    /// The rooms it may use.
    pub(crate) uses: &'static [&'static str],
    /// The rooms its tests may use besides.
    pub(crate) tests_use: &'static [&'static str],
}

/// Every room, from the ground up.
pub(crate) const ROOMS: &[Room] = &[
    Room {
        name: "proto",
        package: "engram-proto",
        folder: "proto/messages",
        is: "the words spoken on sockets, in the log and on disk; the status table",
        uses: &[],
        tests_use: &[],
    },
    Room {
        name: "services",
        package: "engram-services",
        folder: "proto/services",
        is: "the generated gRPC service traits and clients",
        uses: &["proto"],
        tests_use: &[],
    },
    Room {
        name: "store",
        package: "engram-store",
        folder: "store",
        is: "the deterministic state: applies a batch at a log id, answers reads at a revision",
        uses: &["proto"],
        tests_use: &[],
    },
    Room {
        name: "store_rocks",
        package: "engram-store-rocks",
        folder: "store/rocks",
        is: "the RocksDB engine under the store",
        uses: &["store"],
        tests_use: &["proto"],
    },
    Room {
        name: "bbolt",
        package: "engram-bbolt",
        folder: "store/bbolt",
        is: "etcd's database file: bbolt's pages and buckets, read and written, and its rows",
        uses: &["proto"],
        tests_use: &[],
    },
    Room {
        name: "etcd_wal",
        package: "engram-etcd-wal",
        folder: "store/wal",
        is: "etcd's Raft log on disk: its files read, its entries as commands of ours",
        uses: &["proto"],
        tests_use: &[],
    },
    Room {
        name: "raft",
        package: "engram-raft",
        folder: "raft",
        is: "agrees on the order of commands, makes the log durable, feeds the store",
        uses: &["proto", "store"],
        tests_use: &[],
    },
    Room {
        name: "raft_transport",
        package: "engram-raft-transport",
        folder: "raft/transport",
        is: "the peer transport over tonic",
        uses: &["proto", "services", "raft"],
        tests_use: &["store"],
    },
    Room {
        name: "watch",
        package: "engram-watch",
        folder: "watch",
        is: "turns applied events into ordered, gap-free streams for watchers",
        uses: &["proto", "store"],
        tests_use: &[],
    },
    Room {
        name: "server",
        package: "engram-server",
        folder: "server",
        is: "the door: services, health, metrics, clocks, configuration",
        uses: &["proto", "services", "store", "bbolt", "raft", "watch"],
        tests_use: &[],
    },
    Room {
        name: "schema",
        package: "engram-schema",
        folder: "objects/schema",
        is: "what Kubernetes kinds are: the facts of one release, codecs and patches by them",
        uses: &[],
        tests_use: &[],
    },
    Room {
        name: "apiserver",
        package: "engram-apiserver",
        folder: "objects/apiserver",
        is: "the Kubernetes REST API over the etcd service: storage, watch cache, registry, door",
        uses: &["schema", "proto", "services"],
        tests_use: &["programs"],
    },
    Room {
        name: "controllers",
        package: "engram-controllers",
        folder: "objects/controllers",
        is: "reconcilers, scheduler and simulated nodes: clients of the REST API alone",
        uses: &[],
        tests_use: &["programs"],
    },
    Room {
        name: "cluster_tools",
        package: "engram-cluster-tools",
        folder: "cluster-tools",
        is: "the operators' hands: over the API, and offline on a data directory",
        uses: &["proto", "services", "store", "bbolt", "etcd_wal", "raft"],
        tests_use: &[],
    },
    Room {
        name: "engram",
        package: "engram",
        folder: "engram",
        is: "the one binary: picks engine, runtime and rooms, and wires them",
        uses: &[
            "proto",
            "services",
            "store",
            "store_rocks",
            "bbolt",
            "raft",
            "raft_transport",
            "watch",
            "server",
            "apiserver",
            "controllers",
            "cluster_tools",
        ],
        tests_use: &["programs"],
    },
    Room {
        name: "programs",
        package: "engram-programs",
        folder: "jepsen-like-tests/programs",
        is: "finds the programs that tests drive, starts and ends them",
        uses: &[],
        tests_use: &[],
    },
    Room {
        name: "checkers",
        package: "engram-checkers",
        folder: "jepsen-like-tests/checkers",
        is: "judges what clients and watchers saw: linearizability, revisions, gap-free watches",
        uses: &[],
        tests_use: &[],
    },
    Room {
        name: "sim",
        package: "engram-sim",
        folder: "jepsen-like-tests/sim",
        is: "breaks a whole cluster from inside one seeded process",
        uses: &["checkers", "proto", "services", "store", "raft", "watch", "server"],
        tests_use: &[],
    },
    Room {
        name: "harness",
        package: "engram-harness",
        folder: "jepsen-like-tests/harness",
        is: "breaks clusters of real binaries from outside and checks their histories",
        uses: &["programs", "checkers", "proto", "services"],
        tests_use: &[],
    },
    Room {
        name: "kubernetes_harness",
        package: "engram-kubernetes-harness",
        folder: "jepsen-like-tests/kubernetes",
        is: "holds the same conversations with the real kube-apiserver and with ours",
        uses: &["programs", "schema"],
        tests_use: &[],
    },
    Room {
        name: "fuzz",
        package: "engram-fuzz",
        folder: "jepsen-like-tests/fuzz",
        is: "gives whatever reads bytes from outside bytes that nobody meant",
        uses: &["programs", "proto", "store", "bbolt", "etcd_wal", "raft", "server"],
        tests_use: &[],
    },
    Room {
        name: "xtask",
        package: "xtask",
        folder: "xtask",
        is: "checks the arrows, the style limits and the generated files; runs the suites",
        uses: &["programs"],
        tests_use: &[],
    },
];

/// Who may name a crate of others.
#[derive(Debug)]
pub(crate) enum Owner {
    /// Every room (the purity bans of [`super::bans`] still hold).
    Anyone,
    /// These rooms alone.
    Rooms(&'static [&'static str]),
    /// These rooms alone, and only in their tests.
    Tests(&'static [&'static str]),
    /// The first rooms, and the second ones in their tests.
    RoomsAndTests(&'static [&'static str], &'static [&'static str]),
}

use Owner::{Anyone, Rooms, RoomsAndTests, Tests};

/// Every crate of others that a room depends on directly, with the rooms that may name it.
pub(crate) const CRATES: &[(&str, Owner)] = &[
    // One owner each: these are what the rooms are there to hide.
    ("openraft", Rooms(&["raft"])),
    ("openraft-rt", Rooms(&["raft"])),
    ("rocksdb", Rooms(&["store_rocks"])),
    ("clap", Rooms(&["engram", "cluster_tools", "harness", "sim", "kubernetes_harness", "fuzz"])),
    ("kube", Rooms(&["controllers"])),
    ("k8s-openapi", Rooms(&["controllers"])),
    ("serde-saphyr", Rooms(&["schema", "kubernetes_harness", "server", "cluster_tools"])),
    ("granit-parser", Rooms(&["schema"])),
    (
        "base64",
        Rooms(&[
            "schema",
            "apiserver",
            "kubernetes_harness",
            "server",
            "cluster_tools",
            "harness",
            "store",
        ]),
    ),
    ("jiff", Rooms(&["apiserver", "controllers", "server", "cluster_tools"])),
    ("flate2", Rooms(&["apiserver"])),
    // Certificates and TLS.
    (
        "rustls",
        Rooms(&[
            "apiserver",
            "kubernetes_harness",
            "server",
            "raft_transport",
            "cluster_tools",
            "harness",
            "engram",
        ]),
    ),
    (
        "tokio-rustls",
        Rooms(&[
            "apiserver",
            "kubernetes_harness",
            "server",
            "raft_transport",
            "cluster_tools",
            "harness",
            "engram",
        ]),
    ),
    (
        "rcgen",
        RoomsAndTests(
            &["apiserver", "kubernetes_harness", "server", "raft_transport", "harness"],
            &["engram"],
        ),
    ),
    ("x509-parser", Rooms(&["apiserver", "server", "cluster_tools"])),
    ("hyper", Rooms(&["apiserver", "kubernetes_harness", "harness", "server", "engram"])),
    (
        "http-body-util",
        Rooms(&["apiserver", "kubernetes_harness", "harness", "server", "engram", "cluster_tools"]),
    ),
    ("async-trait", Rooms(&["apiserver", "engram"])),
    ("tracing-subscriber", Rooms(&["engram"])),
    ("http-body", Rooms(&["server", "apiserver", "kubernetes_harness"])),
    ("axum", Rooms(&["server"])),
    ("tonic-health", Rooms(&["server", "harness"])),
    ("indicatif", Rooms(&["cluster_tools"])),
    ("ratatui", Rooms(&["cluster_tools"])),
    ("clap_complete", Rooms(&["cluster_tools"])),
    ("clap_mangen", Rooms(&["cluster_tools"])),
    // Users, tokens, the JSON gateway, reflection.
    ("bcrypt", Rooms(&["server"])),
    ("jsonwebtoken", Rooms(&["server"])),
    ("ring", Rooms(&["server"])),
    // Requests and answers by their descriptors: the gateway, and the conversations held with it.
    ("prost-reflect", Rooms(&["server", "harness"])),
    ("tonic-reflection", Rooms(&["server"])),
    ("tokio-tungstenite", RoomsAndTests(&["harness"], &["server"])),
    ("prost-build", Rooms(&["proto"])),
    ("protox", RoomsAndTests(&["proto", "services"], &["server"])),
    ("tonic-prost-build", Rooms(&["services"])),
    // The network.
    (
        "tonic",
        RoomsAndTests(
            &[
                "services",
                "server",
                "raft_transport",
                "apiserver",
                "cluster_tools",
                "harness",
                "sim",
            ],
            &["engram"],
        ),
    ),
    (
        "hyper-util",
        Rooms(&[
            "raft_transport",
            "apiserver",
            "kubernetes_harness",
            "server",
            "cluster_tools",
            "harness",
            "engram",
        ]),
    ),
    ("tonic-prost", RoomsAndTests(&["services", "server"], &["engram"])),
    (
        "http",
        Rooms(&[
            "server",
            "raft_transport",
            "apiserver",
            "cluster_tools",
            "harness",
            "kubernetes_harness",
        ]),
    ),
    ("tower", Rooms(&["server", "raft_transport", "apiserver", "cluster_tools", "harness", "sim"])),
    ("socket2", Rooms(&["server", "raft_transport", "apiserver"])),
    ("url", Rooms(&["server", "apiserver"])),
    (
        "tokio-stream",
        Rooms(&[
            "services",
            "server",
            "raft_transport",
            "apiserver",
            "cluster_tools",
            "harness",
            "sim",
        ]),
    ),
    // What one node writes for itself, in one `codec` module per room.
    ("bincode", Rooms(&["store", "raft"])),
    (
        "serde",
        Rooms(&[
            "store",
            "raft",
            "server",
            "schema",
            "apiserver",
            "controllers",
            "cluster_tools",
            "harness",
            "kubernetes_harness",
        ]),
    ),
    // Files and digests.
    ("fs4", Rooms(&["raft", "server", "engram"])),
    ("crc32c", Rooms(&["store", "store_rocks", "raft", "bbolt", "etcd_wal"])),
    ("rpds", Rooms(&["store"])),
    ("crc32fast", Rooms(&["store"])),
    ("sha1", Rooms(&["raft"])),
    ("sha2", Rooms(&["raft", "store", "apiserver", "bbolt", "server", "cluster_tools", "harness"])),
    // Seeded where it matters (see the bans).
    (
        "rand",
        Rooms(&[
            "raft",
            "server",
            "engram",
            "apiserver",
            "controllers",
            "cluster_tools",
            "sim",
            "harness",
            "kubernetes_harness",
            "fuzz",
        ]),
    ),
    ("rand_chacha", Rooms(&["sim", "harness", "kubernetes_harness", "fuzz"])),
    ("hdrhistogram", Rooms(&["cluster_tools", "harness"])),
    // What the standard library cannot ask of the operating system: signals to other processes.
    ("rustix", Rooms(&["engram", "programs", "harness"])),
    // The workshop.
    ("syn", Rooms(&["xtask"])),
    ("proc-macro2", Rooms(&["xtask"])),
    ("walkdir", Rooms(&["xtask"])),
    (
        "anyhow",
        Rooms(&[
            "engram",
            "cluster_tools",
            "programs",
            "harness",
            "sim",
            "kubernetes_harness",
            "xtask",
            "fuzz",
        ]),
    ),
    ("goldenscript", Tests(&["store", "store_rocks", "raft", "watch"])),
    ("proptest", Anyone),
    ("tempfile", Anyone),
    // Plain words.
    ("prost", Anyone),
    ("bytes", Anyone),
    ("thiserror", Anyone),
    ("tracing", Anyone),
    ("tokio", Anyone),
    ("tokio-util", Anyone),
    ("futures", Anyone),
    ("arc-swap", Anyone),
    ("parking_lot", Anyone),
    ("serde_json", Anyone),
];

/// The room a file belongs to: the one with the longest folder that holds it.
pub(crate) fn room_of(path: &str) -> Option<&'static Room> {
    ROOMS
        .iter()
        .filter(|room| path.strip_prefix(room.folder).is_some_and(|rest| rest.starts_with('/')))
        .max_by_key(|room| room.folder.len())
}

/// The room a package is.
pub(crate) fn room_named(package: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| room.package == package)
}
