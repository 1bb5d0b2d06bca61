//! The versions this member answers with. Clients parse them: plain numbers, no suffix.

/// The version of etcd whose API is spoken.
pub const ETCD_VERSION: &str = "3.7.3";
/// The cluster version, as etcd decides it: major and minor.
pub const CLUSTER_VERSION: &str = "3.7.0";
/// The storage version that etcd would answer.
pub const STORAGE_VERSION: &str = "3.7.0";
/// Our own version.
pub const ENGRAM_VERSION: &str = env!("CARGO_PKG_VERSION");
