//! The peer transport over tonic: heartbeats, log and snapshots on connections of their own.
