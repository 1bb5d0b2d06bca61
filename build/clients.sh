#!/usr/bin/env bash
# Fetches the client libraries that Engram is tested with, and what drives them, once, at pinned versions.
#
#   build/clients.sh clients     all of them   (in the background of `make test`)
#   build/clients.sh go          or python, node
#
# They land in $ENGRAM_CACHE/clients/<language>, from the registry of each language. A stamp over the programs and their
# versions says when they are up to date. Where a language's own tool is missing, that is said, and its programs do not run.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ENGRAM_CACHE:-$HOME/.cache/engram}/clients
programs=$root/jepsen-like-tests/clients

say() { printf 'clients: %s\n' "$*" >&2; }

# Each is run in the folder that its language gets, empty before.
get_go() { (cd "$programs/go" && CGO_ENABLED=0 go build -trimpath -o "$1/clientv3" .); }
get_python() {
  python3 -m venv "$1" && "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    -r "$programs/python/requirements.txt"
  cp "$programs"/python/*.py "$1"
}
get_node() {
  cp "$programs"/node/*.mjs "$programs"/node/package*.json "$1"
  (cd "$1" && npm ci --silent --no-audit --no-fund --ignore-scripts)
}

get() {
  local language=$1 tool=$2 to=$cache/$1 wanted
  [ -d "$programs/$language" ] || return 0
  if ! command -v "$tool" >/dev/null; then
    say "$language: NOT RUN, $tool was not found"
    return 0
  fi
  wanted=$(cat "$programs/$language"/* "$root/build/clients.sh" | sha256sum | cut -d" " -f1)
  [ "$(cat "$to/stamp" 2>/dev/null)" = "$wanted" ] && return 0
  say "fetching what the programs in $language use"
  rm -rf "$to" && mkdir -p "$to"
  "get_$language" "$to"
  echo "$wanted" >"$to/stamp"
}

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
case ${1:-clients} in
  clients)
    get go go
    get python python3
    get node npm
    ;;
  go) get go go ;;
  python) get python python3 ;;
  node) get node npm ;;
  *)
    say "no such language: $1 (go, python or node)"
    exit 2
    ;;
esac
