//! What `engram dev` says when it is ready: at most 22 lines, ending with lines to copy.

use std::time::Duration;

use server::Member;
use server::version::ENGRAM_VERSION;

use super::kubernetes::Told;
use super::options::Options;

/// How it stands with Kubernetes.
#[derive(Debug)]
pub(crate) enum Kubernetes {
    /// Served.
    Served(Told),
    /// Not asked for.
    Unwanted,
    /// Asked for, and why not served.
    Failed(String),
}

/// For one member in this process.
pub(crate) fn one_member(
    options: &Options,
    member: &Member,
    kubernetes: &Kubernetes,
    took: Duration,
) -> String {
    let node = &options.nodes()[0];
    let (url, log) = (node.client_url(), node.log.display());
    let leadership = member.leadership();
    format!(
        "engram {ENGRAM_VERSION}  one member \"{name}\", ready in {took} ms

  Data        {data}{kept}
  etcd        {url}            API v3 (gRPC); /health /metrics /version
{kubernetes}  Raft        term {term}, leader {name}, revision {revision}
  Log         {log}

Loopback only: for development, not for production. Ctrl-C stops it.

Try in another terminal:
{copy}{lines}",
        name = node.name,
        took = took.as_millis(),
        data = options.data_dir.display(),
        kept = kept(options),
        kubernetes = rows(kubernetes),
        term = leadership.term,
        revision = member.reader().revision(),
        copy = kubectl_to_copy(kubernetes),
        lines = lines_to_copy(&[node.client_port]),
    )
}

/// For a quorum of child processes.
pub(crate) fn quorum(options: &Options, kubernetes: &Kubernetes, took: Duration) -> String {
    let nodes = options.nodes();
    let members: Vec<String> = nodes
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
{members}

  Data        {data}{kept}; quorum {quorum} of {count}, can lose {spare}
{kubernetes}
Loopback only: for development, not for production. Ctrl-C stops all members.

Try in another terminal:
{copy}{lines}",
        count = nodes.len(),
        took = took.as_millis(),
        members = members.join("\n"),
        data = options.data_dir.display(),
        kept = kept(options),
        quorum = nodes.len() / 2 + 1,
        spare = nodes.len() / 2,
        kubernetes = rows(kubernetes),
        copy = kubectl_to_copy(kubernetes),
        lines = lines_to_copy(&ports),
    )
}

fn kept(options: &Options) -> &'static str {
    if options.ephemeral { " (removed at the end)" } else { "" }
}

fn rows(kubernetes: &Kubernetes) -> String {
    match kubernetes {
        Kubernetes::Unwanted => String::new(),
        Kubernetes::Failed(why) => format!("  Kubernetes  not served: {why}\n"),
        Kubernetes::Served(told) => {
            let note = match told.faults.first() {
                Some(fault) => format!("not ready yet: {fault}"),
                None => format!("{} simulated nodes, whose pods do not really run", told.sim_nodes),
            };
            format!("  Kubernetes  {}           {note}\n", told.url)
        }
    }
}

/// Works with the kubectl of anybody.
fn kubectl_to_copy(kubernetes: &Kubernetes) -> String {
    let Kubernetes::Served(told) = kubernetes else { return String::new() };
    format!(
        "  export KUBECONFIG={}\n  \
         kubectl create deployment web --image=demo --replicas=3\n  \
         kubectl rollout status deployment/web && kubectl get pods -o wide\n",
        told.kubeconfig.display()
    )
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
