//! What `engram dev` says when it is ready: at most 22 lines, ending with lines to copy.

use std::time::Duration;

use server::Member;
use server::version::ENGRAM_VERSION;

use super::options::Options;

/// For one member in this process.
pub(crate) fn one_member(options: &Options, member: &Member, took: Duration) -> String {
    let node = &options.nodes()[0];
    let (url, log) = (node.client_url(), node.log.display());
    let leadership = member.leadership();
    format!(
        "engram {ENGRAM_VERSION}  one member \"{name}\", ready in {took} ms

  Data      {data}{kept}
  Client    {url}            etcd v3 API (gRPC)
  Health    {url}/health     also /livez /readyz /version /metrics
  Raft      term {term}, leader {name}, revision {revision}
  Log       {log}

Loopback only, no authentication: for development, not for production.
Ctrl-C stops it.

Try in another terminal:
{lines}",
        name = node.name,
        took = took.as_millis(),
        data = options.data_dir.display(),
        kept = kept(options),
        term = leadership.term,
        revision = member.reader().revision(),
        lines = lines_to_copy(&[node.client_port]),
    )
}

/// For a quorum of child processes.
pub(crate) fn quorum(options: &Options, took: Duration) -> String {
    let nodes = options.nodes();
    let rows: Vec<String> = nodes
        .iter()
        .map(|node| {
            let (name, url, peer) = (&node.name, node.client_url(), node.peer_port);
            format!("  {name}    {url}   127.0.0.1:{peer}   {}", node.log.display())
        })
        .collect();
    let ports: Vec<u16> = nodes.iter().map(|node| node.client_port).collect();
    format!(
        "engram {ENGRAM_VERSION}  {count} members, ready in {took} ms

  NAME  CLIENT                   PEER              LOG
{rows}

  Data {data}{kept}; quorum {quorum} of {count}, can lose {spare}.

Loopback only, no authentication: for development, not for production.
Ctrl-C stops all members.

Try in another terminal:
{lines}",
        count = nodes.len(),
        took = took.as_millis(),
        rows = rows.join("\n"),
        data = options.data_dir.display(),
        kept = kept(options),
        quorum = nodes.len() / 2 + 1,
        spare = nodes.len() / 2,
        lines = lines_to_copy(&ports),
    )
}

fn kept(options: &Options) -> &'static str {
    if options.ephemeral { " (removed at the end)" } else { "" }
}

/// Works with etcdctl and, where there is none, with our own.
fn lines_to_copy(ports: &[u16]) -> String {
    let endpoints: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    let endpoints = endpoints.join(",");
    let first = format!("  export ETCDCTL_ENDPOINTS={endpoints}\n");
    format!(
        "{first}  etcdctl put greeting hello && etcdctl get greeting\n  \
         engram ctl --endpoints {endpoints} get greeting\n"
    )
}
