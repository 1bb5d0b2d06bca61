#!/usr/bin/env bash
# Fetches the client libraries that Engram is tested with, and what drives them, once, at pinned versions.
#
#   build/clients.sh clients     all of them   (in the background of `make test`)
#   build/clients.sh go          or java, node, python, rust
#
# They land in $ENGRAM_CACHE/clients/<language>, from the registry of each language. A stamp over the programs and their
# versions says when they are up to date. A language that is not on the machine is installed with apt-get where we are root.
# What cannot be fetched is said, and then the suite fails for it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ENGRAM_CACHE:-$HOME/.cache/engram}/clients
programs=$root/jepsen-like-tests/clients

say() { printf 'clients: %s\n' "$*" >&2; }

# Each is run in the folder that its language gets, empty before.
get_go() { (cd "$programs/go" && CGO_ENABLED=0 go build -trimpath -o "$1/clientv3" .); }
get_java() {
  # Maven takes seconds to start: it only gets the jars, and is not needed to run them.
  local maven=(mvn -q -B -Dmaven.repo.local="$cache/maven")
  (cd "$programs/java" && "${maven[@]}" dependency:copy-dependencies -DoutputDirectory="$1/jars") \
    &>"$1/maven.log" || {
    cat "$1/maven.log" >&2
    return 1
  }
  (cd "$1/jars" && sha256sum --check --strict --quiet "$programs/java/jars.sha256") &&
    javac -nowarn -d "$1/classes" -cp "$1/jars/*" "$programs"/java/src/clients/*.java
}
get_node() {
  cp "$programs"/node/*.mjs "$programs"/node/package*.json "$1" &&
    (cd "$1" && npm ci --silent --no-audit --no-fund --ignore-scripts)
}
get_python() {
  # Debian has the module in a package of its own.
  python3 -c 'import ensurepip' 2>/dev/null || install_with_apt python python3-venv || return 1
  python3 -m venv "$1" &&
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$programs/python/requirements.txt" &&
    cp "$programs"/python/*.py "$1"
}

get_rust() {
  # The crate wants a `protoc` to be built with: it gets one in Rust, so that Cargo.lock pins all there is.
  unset "${!CARGO_PKG_@}" CARGO_MANIFEST_DIR CARGO_MANIFEST_PATH
  (
    export CARGO_TARGET_DIR=$1/target CARGO_INCREMENTAL=0
    cd "$programs/rust"
    cargo build --quiet --locked --no-default-features --features protoc --bin protoc &&
      PROTOC=$1/target/debug/protoc cargo build --quiet --locked --bin etcd-client
  ) && mv "$1/target/debug/etcd-client" "$1" && rm -rf "$1/target"
}

wanted() {
  (cd "$programs/$1" && find . -type f ! -path './target/*' -print0 | LC_ALL=C sort -z | xargs -0 cat "$root/build/clients.sh") |
    sha256sum | cut -d" " -f1
}

missing() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || printf '%s\n' "$tool"
  done
}

# Debian's packages of a language, where they are of use.
install_with_apt() {
  local language=$1 packages=$2
  [ -n "$packages" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  say "$language: installing $packages with apt-get"
  # shellcheck disable=SC2086 # several packages
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } \
    >"$cache/apt.log" 2>&1 || {
    say "$language: apt-get fails: $(tail -n 1 "$cache/apt.log")"
    return 1
  }
}

# One language that cannot be had does not keep the others from it.
get() {
  local language=$1 packages=$2 to=$cache/$1 stamp
  shift 2
  stamp=$(wanted "$language")
  [ "$(cat "$to/stamp" 2>/dev/null)" = "$stamp" ] && return 0
  rm -rf "$to" && mkdir -p "$to"
  if [ -n "$(missing "$@")" ] && ! { install_with_apt "$language" "$packages" && hash -r && [ -z "$(missing "$@")" ]; }; then
    say "$language: $(missing "$@" | head -n 1) was not found"
    return 0
  fi
  say "fetching what the programs in $language use"
  if "get_$language" "$to"; then
    echo "$stamp" >"$to/stamp"
  else
    say "$language: could not be fetched, see above"
  fi
}

mkdir -p "$cache"
exec 9>"$cache/.lock"
flock 9
which=${1:-clients}
known=
one() {
  # one LANGUAGE "DEBIAN'S PACKAGES" COMMAND...
  known="$known $1"
  if [ "$which" = clients ] || [ "$which" = "$1" ]; then get "$@"; fi
}
one go '' go
one java 'default-jdk-headless maven' mvn java javac
one node 'nodejs npm' npm node
one python 'python3 python3-venv' python3
one rust '' cargo
case " clients$known " in
  *" $which "*) ;;
  *)
    say "no such language: $which (one of$known)"
    exit 2
    ;;
esac
