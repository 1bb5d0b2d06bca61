#!/usr/bin/env bash
# Makes the machine ready to build Engram, then runs the command given, with build/env.sh's settings.
#
#   build/ready.sh                      gets libclang and the RocksDB archive, if they are not there
#   build/ready.sh cargo build ...      the same, then runs that
#
# RocksDB's bindings are generated with libclang: the system's; else apt's where we are root; else the `libclang` wheel
# unpacked in the cache. The archive takes about twenty CPU minutes, once per machine.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=build/env.sh
. "$root/build/env.sh"
cd "$root"

say() { printf 'build: %s\n' "$*" >&2; }
stop() {
  say "$*"
  exit 1
}

need() { command -v "$1" >/dev/null || stop "$1 is needed and was not found: $2"; }

system_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  [ "${ENGRAM_LIBCLANG:-system}" = wheel ] && return 1
  local found
  found=$(compgen -G '/usr/lib*/llvm*/lib*/libclang*.so*' || compgen -G '/usr/lib*/libclang*.so*' ||
    compgen -G '/usr/lib/*-linux-gnu/libclang*.so*' || compgen -G '/usr/local/lib*/libclang*.so*' ||
    compgen -G '/usr/local/llvm*/lib*/libclang*.so*' || true)
  grep -qvE 'libclang-cpp|libclang_rt|^$' <<<"$found"
}

apt_libclang() {
  [ "${ENGRAM_LIBCLANG:-system}" = wheel ] && return 1
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  say "installing libclang-dev with apt-get (RocksDB's bindings need it)"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libclang-dev; } \
    >"$ENGRAM_CACHE/apt.log" 2>&1
}

wheel_libclang() {
  local to=$ENGRAM_CACHE/libclang new=$ENGRAM_CACHE/.libclang.$$
  command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 || return 1
  say "fetching the libclang 18.1.1 wheel (RocksDB's bindings need it)"
  mkdir -p "$new"
  python3 -m pip download -q --no-deps --dest "$new" libclang==18.1.1 >"$ENGRAM_CACHE/pip.log" 2>&1 || return 1
  python3 -m zipfile -e "$new"/libclang-*.whl "$new"
  rm -rf "$to" && mkdir "$to"
  mv "$new"/libclang-*.data/platlib/clang "$to"/ && rm -rf "$new"
  . "$root/build/env.sh"
}

need cargo "install Rust 1.95 or newer, https://rustup.rs"
need g++ "install g++ 12 or newer"
mkdir -p "$ENGRAM_CACHE"
exec 8>"$ENGRAM_CACHE/.ready.lock"
flock 8
system_libclang || apt_libclang || wheel_libclang ||
  stop "libclang is needed for RocksDB's bindings: install libclang-dev (Debian, Ubuntu) or clang, then run this again"
[ -e "$ROCKSDB_LIB_DIR/librocksdb.a" ] || "$root/build/rocksdb.sh"
exec 8>&-

[ $# -eq 0 ] || exec "$@"
