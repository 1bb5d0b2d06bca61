#!/usr/bin/env bash
# Compiles RocksDB once into $ROCKSDB_LIB_DIR/librocksdb.a, so that no other build has to. Called by build/ready.sh.
#
# The version and features are the workspace's own (Cargo.lock), because cargo is asked for that very package.
# Progress: one line that moves on a terminal, a plain line every half minute elsewhere.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=build/env.sh
. "$root/build/env.sh"
cd "$root"

archive=$ROCKSDB_LIB_DIR/librocksdb.a
output=$ENGRAM_CACHE/rocksdb/build
log=$ENGRAM_CACHE/rocksdb/build.log
mkdir -p "$ROCKSDB_LIB_DIR" "$output"

# Without these the package's build script compiles its bundled sources.
compile() { env -u ROCKSDB_LIB_DIR -u ROCKSDB_STATIC CARGO_TARGET_DIR="$output" "$@"; }

sources=$(cargo metadata --format-version 1 --locked 2>/dev/null |
  grep -o '"manifest_path":"[^"]*librocksdb-sys[^"]*"' | head -n 1 | cut -d'"' -f4 | xargs -r dirname)
files=$(wc -l <"${sources:-/nowhere}/rocksdb_lib_sources.txt" 2>/dev/null || echo 343)

compiled() { find "$output" -path '*librocksdb-sys-*/out/*' -name '*.o' 2>/dev/null | wc -l; }
progress() {
  local now seconds=$((SECONDS - started))
  now=$(compiled)
  printf 'build: RocksDB, once on this machine: %d of %d files (%d %%), %d:%02d' \
    "$now" "$files" $((now * 100 / files)) $((seconds / 60)) $((seconds % 60))
}

started=$SECONDS
# In a process group of its own, so that stopping this stops the compilers too.
set -m
compile cargo build --quiet --locked --release -p librocksdb-sys >"$log" 2>&1 &
compiler=$!
set +m
trap 'kill -- "-$compiler" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
next_line=0
while kill -0 "$compiler" 2>/dev/null; do
  if [ -t 2 ]; then
    printf '\r%s ' "$(progress)" >&2
  elif [ $((SECONDS - started)) -ge "$next_line" ]; then
    printf '%s\n' "$(progress)" >&2
    next_line=$((SECONDS - started + 30))
  fi
  sleep 1
done
[ -t 2 ] && printf '\n' >&2
if ! wait "$compiler"; then
  tail -n 20 "$log" >&2
  printf 'build: RocksDB did not compile; the whole output is in %s\n' "$log" >&2
  exit 1
fi

built=$(find "$output/release/build" -path '*librocksdb-sys-*/out/librocksdb.a' -printf '%T@ %p\n' |
  sort -rn | head -n 1 | cut -d' ' -f2-)
cp "$built" "$archive.new.$$"
mv "$archive.new.$$" "$archive"
rm -rf "$output"
printf 'build: RocksDB is in %s (%d s)\n' "$archive" $((SECONDS - started)) >&2
