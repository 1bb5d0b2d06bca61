#!/usr/bin/env bash
# Three members on this machine, from etcd's static bootstrap flags; Ctrl-C stops them all, in order.
#
# Data and logs are in ./engram-run3; clients at 2379, 22379 and 32379. For trying things out, not for production.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
data=engram-run3
cluster=n1=http://127.0.0.1:2380,n2=http://127.0.0.1:22380,n3=http://127.0.0.1:32380
mkdir -p "$data"

members=()
stop() {
  trap - EXIT INT TERM
  kill "${members[@]}" 2>/dev/null || true
  wait || true
}
trap stop EXIT INT TERM

# Ports 2379, 22379, 32379 for clients; 2380, 22380, 32380 for peers.
for number in 1 2 3; do
  port=${number#1}23
  bin/engram server --name "n$number" --data-dir "$data/n$number" \
    --listen-client-urls "http://127.0.0.1:${port}79" --advertise-client-urls "http://127.0.0.1:${port}79" \
    --listen-peer-urls "http://127.0.0.1:${port}80" --initial-advertise-peer-urls "http://127.0.0.1:${port}80" \
    --initial-cluster "$cluster" --initial-cluster-state new >"$data/n$number.log" 2>&1 &
  members+=($!)
done

cat <<TEXT
three members of one cluster: data and logs in ./$data (not for production)

  etcdctl --endpoints 127.0.0.1:2379,127.0.0.1:22379,127.0.0.1:32379 endpoint status -w table
  kill -9 ${members[0]}      # and see the others go on

Ctrl-C stops all three
TEXT
wait
