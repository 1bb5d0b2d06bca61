#!/usr/bin/env bash
# Builds the release binary and leaves it at bin/engram. Called through build/ready.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
packages=(--package engram)
[ "${1:-}" != --suites ] || packages+=(--package engram-harness --package engram-kubernetes-harness)
cargo build --release --locked "${packages[@]}" --bins
mkdir -p bin
if ! cmp -s "$ENGRAM_TARGET_DIR/release/engram" bin/engram; then
  # A running binary cannot be written to, but it can be replaced.
  cp "$ENGRAM_TARGET_DIR/release/engram" "bin/.engram.$$"
  mv "bin/.engram.$$" bin/engram
fi
