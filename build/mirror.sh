#!/usr/bin/env bash
# Runs a command in a copy of this commit that outlives the clone, so that a second CI run compiles only what changed.
#
#   build/mirror.sh cargo xtask test
#
# A fresh clone has another path and new times on all its files, and cargo takes each for a change of everything. The
# copy in the cache keeps its path, and git touches only the files that differ. Only in CI, and only where nothing is
# changed against the commit; elsewhere the command runs here.
set -euo pipefail
clone=$(git rev-parse --show-toplevel 2>/dev/null || true)
if [ "${CI:-}" != true ] || [ -z "$clone" ] || [ -n "$(git status --porcelain)" ]; then
  exec "$@"
fi
mirror=$ENGRAM_CACHE/source
mkdir -p "$mirror"
# Held until the command ends: two runs at once would change the source under each other.
exec 7>"$mirror.lock"
flock 7
export GIT_INDEX_FILE=$mirror.index
git --work-tree="$mirror" read-tree --reset -u HEAD
git --work-tree="$mirror" diff-files --quiet || git --work-tree="$mirror" checkout-index --all --force
# What is no part of this commit is not tested with it.
git --work-tree="$mirror" ls-files --others -z | (cd "$mirror" && xargs -0 -r rm -f --)
unset GIT_INDEX_FILE
cd "$mirror"
exec "$@"
