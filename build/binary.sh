#!/usr/bin/env bash
# Builds the release binary and leaves it at bin/engram. Called through build/ready.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# What cargo sets for a program that it runs, such as `cargo xtask`, would make some build scripts run anew.
unset "${!CARGO_PKG_@}" CARGO_MANIFEST_DIR CARGO_MANIFEST_PATH
# On its own: asked for together with others it would be built with their features, and anew for `make run`.
cargo build --release --locked --package engram --bins
if [ "${1:-}" = --suites ]; then
  cargo build --release --locked --package engram-harness --package engram-kubernetes-harness --bins
fi
mkdir -p bin
if ! cmp -s "$ENGRAM_TARGET_DIR/release/engram" bin/engram; then
  # A running binary cannot be written to, but it can be replaced.
  cp "$ENGRAM_TARGET_DIR/release/engram" "bin/.engram.$$"
  mv "bin/.engram.$$" bin/engram
fi
