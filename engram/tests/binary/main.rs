//! The binary as a person and as a driver of etcd binaries meet it.

mod dev;
mod server;
mod support;
