#!/usr/bin/env bash
# Runs the targets of jepsen-like-tests/fuzz under libFuzzer, with AddressSanitizer: a panic, a hang, a leak, an
# allocation far larger than its input and what breaks memory are findings.
#
#   build/fuzz.sh [TARGET [SECONDS]]
#
# Needs only the stable compiler, told to behave as a nightly one, and g++ for libFuzzer. What is built and what the
# fuzzer finds interesting stay in the cache; an input that breaks a target is left in the cache's fuzz/<target>.broken.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. build/env.sh
targets=${1:-requests bbolt wal log gateway}
seconds=${2:-60}
guided=jepsen-like-tests/fuzz/guided
corpus=$ENGRAM_CACHE/fuzz
host=$(rustc -vV | sed -n 's/^host: //p')

# Every branch gets a counter and every comparison is shown to the fuzzer.
flags=(-Zsanitizer=address -Cpasses=sancov-module)
for argument in -sanitizer-coverage-level=4 -sanitizer-coverage-inline-8bit-counters \
  -sanitizer-coverage-pc-table -sanitizer-coverage-trace-compares; do
  flags+=("-Cllvm-args=$argument")
done
cp Cargo.lock "$guided/Cargo.lock"
export CARGO_TARGET_DIR=$ENGRAM_CACHE/fuzz-target
built=$CARGO_TARGET_DIR/$host/release

# A target is compiled with what it needs: `gateway` with the whole server, `requests` without a runtime.
compile() {
  local features=()
  case $1 in log | gateway) features=(--features "$1") ;; esac
  RUSTC_BOOTSTRAP=1 RUSTFLAGS="${flags[*]}" cargo build --quiet --release --target "$host" \
    --manifest-path "$guided/Cargo.toml" --bin "$1" --bin seeds "${features[@]}"
}

failed=()
for target in $targets; do
  compile "$target"
  "$built/seeds" "$corpus"
  echo "fuzz: $target for $seconds s"
  mkdir -p "$corpus/$target.broken"
  # Units: seconds for one input, MiB for one allocation and for all of them.
  "$built/$target" "$corpus/$target" -max_total_time="$seconds" -max_len=65536 -timeout=10 -malloc_limit_mb=256 \
    -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$corpus/$target.broken/" || failed+=("$target")
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "fuzz: broken: ${failed[*]}; the inputs are in $corpus" >&2
  exit 1
fi
