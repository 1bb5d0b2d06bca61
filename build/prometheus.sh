#!/usr/bin/env bash
# Fetches Debian's Prometheus, once, for the suite that evaluates etcd's alerts over our metrics.
#
# It is only unpacked into $ENGRAM_CACHE/prometheus: nothing is installed, no service is started. Ends with an error and a
# line that says why where it cannot be had; the suite is then not run.
set -euo pipefail
cache=${ENGRAM_CACHE:-$HOME/.cache/engram}
home=$cache/prometheus
program=$home/usr/bin/prometheus

say() { printf 'prometheus: %s\n' "$*" >&2; }

mkdir -p "$cache"
exec 9>"$cache/.prometheus.lock"
flock 9
if [ -x "$program" ]; then exit 0; fi
for tool in apt-get dpkg-deb; do
  if ! command -v "$tool" >/dev/null; then
    say "NOT RUN: no $tool here; put a Prometheus at $program"
    exit 1
  fi
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() { (cd "$work" && apt-get download -q prometheus >"$work/log" 2>&1); }
if ! fetch; then
  # The lists may be old, or not be there at all; only root can get new ones.
  if [ "$(id -u)" = 0 ]; then apt-get update -q >"$work/log" 2>&1 || true; fi
  if ! fetch; then
    say "NOT RUN: apt-get download prometheus fails: $(tail -n 1 "$work/log")"
    exit 1
  fi
fi
dpkg-deb -x "$work"/prometheus_*.deb "$work/root"
rm -rf "$home"
mv "$work/root" "$home"
say "$("$program" --version 2>&1 | head -n 1)"
