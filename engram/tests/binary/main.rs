//! The binary as a person and as a driver of etcd binaries meet it.

mod certificates;
mod config;
mod ctl;
mod ctl_members;
mod dev;
mod discovery;
mod kubernetes;
mod listeners;
mod pings;
mod quorum;
mod refused_calls;
mod server;
mod spans;
mod storage;
mod support;
mod tls;
mod tls_misfits;
mod tls_users;
