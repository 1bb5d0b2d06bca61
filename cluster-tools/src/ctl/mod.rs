//! `engram ctl`: the few online verbs an operator needs at hand, in etcdctl's words and formats.
//!
//! It is not a second etcdctl: the real one works against Engram unmodified and has every verb.
//!
//! Must not know: anything but the published etcd API.

mod endpoint;
mod kv;
mod lease;
mod member;
mod print;
mod txn;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tonic::transport::Channel;

use crate::ToolError;

/// Talk to a running cluster: get, put, del, txn, watch, lease, member list, endpoint status.
#[derive(Debug, Parser)]
#[command(name = "engram ctl", disable_version_flag = true)]
struct Ctl {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Debug, Args)]
struct Global {
    /// Client URLs, separated by commas; the first that answers is used.
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_ENDPOINTS",
        value_delimiter = ',',
        default_value = "127.0.0.1:2379"
    )]
    endpoints: Vec<String>,
    /// How answers are written.
    #[arg(short = 'w', long = "write-out", global = true, default_value = "simple")]
    write_out: print::Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read a key, or a range of keys.
    Get(kv::Get),
    /// Write a key.
    Put(kv::Put),
    /// Delete a key, or a range of keys.
    Del(kv::Del),
    /// Run a transaction read from standard input: compares, then, else, parted by empty lines.
    Txn(txn::Txn),
    /// Print changes to a key or a range as they happen.
    Watch(watch::Watch),
    /// Grant, renew, look at and revoke leases.
    #[command(subcommand)]
    Lease(lease::Lease),
    /// Look at the members.
    #[command(subcommand)]
    Member(member::Member),
    /// Ask each endpoint how it is.
    #[command(subcommand)]
    Endpoint(endpoint::EndpointVerb),
}

/// Parses and runs one `engram ctl` command; `arguments` start after the word `ctl`.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("engram ctl")).chain(arguments);
    match Ctl::try_parse_from(words) {
        Ok(ctl) => crate::block_on(1, dispatch(ctl)),
        Err(error) => {
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
        }
    }
}

async fn dispatch(ctl: Ctl) -> Result<(), ToolError> {
    let Ctl { global, verb } = ctl;
    match verb {
        Verb::Endpoint(verb) => endpoint::run(&global, verb).await,
        Verb::Get(get) => kv::get(&global, get).await,
        Verb::Put(put) => kv::put(&global, put).await,
        Verb::Del(del) => kv::del(&global, del).await,
        Verb::Txn(txn) => txn::run(&global, txn).await,
        Verb::Watch(watch) => watch::run(&global, watch).await,
        Verb::Lease(lease) => lease::run(&global, lease).await,
        Verb::Member(member) => member::run(&global, member).await,
    }
}

impl Global {
    async fn channel(&self) -> Result<Channel, ToolError> {
        crate::connect(&self.endpoints).await
    }
}

/// The end of the range that a prefix names: the prefix with its last byte below 0xff raised, or
/// `\0`.
fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

/// A lease id as etcdctl prints and reads it: hexadecimal without a prefix.
fn parse_lease_id(text: &str) -> Result<i64, String> {
    i64::from_str_radix(text, 16).map_err(|_| format!("bad lease ID {text:?}, expecting ID in Hex"))
}

#[cfg(test)]
mod tests {
    use super::{parse_lease_id, prefix_end};

    #[test]
    fn the_end_of_a_prefix_is_its_successor() {
        assert_eq!(prefix_end(b"ab"), b"ac");
        assert_eq!(prefix_end(b"a\xff"), b"b");
        assert_eq!(prefix_end(b"\xff\xff"), b"\0");
        assert_eq!(prefix_end(b""), b"\0");
    }

    #[test]
    fn lease_ids_are_hexadecimal() {
        assert_eq!(parse_lease_id("7f"), Ok(127));
        assert!(parse_lease_id("xyz").is_err());
    }
}
