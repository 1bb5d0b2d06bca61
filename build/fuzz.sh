#!/usr/bin/env bash
# Runs the targets of jepsen-like-tests/fuzz under libFuzzer. Called through build/ready.sh.
#
#   build/fuzz.sh [TARGET [SECONDS]]
#
# cargo-fuzz is built once, into the cache; what it finds interesting is kept there too. Coverage marks need a nightly
# compiler, or a stable one that is told to behave as one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
targets=${1:-requests bbolt log gateway}
seconds=${2:-60}
home=$ENGRAM_CACHE/cargo-fuzz
guided=jepsen-like-tests/fuzz/guided
if [ ! -x "$home/bin/cargo-fuzz" ]; then
  echo "building cargo-fuzz, once on this machine" >&2
  cargo install cargo-fuzz --locked --quiet --root "$home"
fi
corpus=$ENGRAM_CACHE/fuzz
cargo run --quiet --locked --package engram-fuzz -- --seeds "$corpus"
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$ENGRAM_CACHE/fuzz-target
for target in $targets; do
  "$home/bin/cargo-fuzz" run --fuzz-dir "$guided" --sanitizer none "$target" "$corpus/$target" -- \
    -max_total_time="$seconds" -print_final_stats=1
done
