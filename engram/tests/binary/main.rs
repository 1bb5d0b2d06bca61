//! The binary as a person and as a driver of etcd binaries meet it.

mod certificates;
mod config;
mod ctl;
mod ctl_members;
mod dev;
mod kubernetes;
mod quorum;
mod server;
mod storage;
mod support;
mod tls;
