//! The binary as a person and as a driver of etcd binaries meet it.

mod dev;
mod kubernetes;
mod quorum;
mod server;
mod storage;
mod support;
