//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are no connections: the store's, the log's, peers'. *Source*: etcd keeps 150; a
/// RocksDB has more of them.
const FILES_RESERVED: u64 = 1024;
/// What is left for clients however few files are allowed.
const CONNECTIONS_MIN: u64 = 64;

/// Lets this process open as many files as the system lets it ask for, as Go does at its start.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!(%error, "the limit of open files stays as low as it is");
        }
    }
}

/// The most connections of one listener. *Source*: etcd limits each listener so.
pub(crate) fn connections_max() -> usize {
    let Some(files) = getrlimit(Resource::Nofile).current else { return usize::MAX };
    let reserved = FILES_RESERVED.min(files / 2);
    let connections = files.saturating_sub(reserved).max(CONNECTIONS_MIN);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// Connections of peers at a time: a member has a handful, and whoever else dials this port must
/// not use up what clients need.
const PEER_CONNECTIONS_MAX: u64 = 512;
/// What is left for peers however few files are allowed: a few for each of six others.
const PEER_CONNECTIONS_MIN: u64 = 24;

/// The most connections of the peers' listener.
///
/// Order: a part of the files that is small enough for clients, peers and the store together: a
/// store that cannot open a file stops its member.
pub(crate) fn peer_connections_max() -> usize {
    let Some(files) = getrlimit(Resource::Nofile).current else {
        return usize::try_from(PEER_CONNECTIONS_MAX).unwrap_or(usize::MAX);
    };
    let connections = (files / 8).clamp(PEER_CONNECTIONS_MIN, PEER_CONNECTIONS_MAX);
    usize::try_from(connections).unwrap_or(usize::MAX)
}
