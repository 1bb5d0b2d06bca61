#!/usr/bin/env bash
# Builds the real programs that Engram is tested against, once, from their published Go modules.
#
#   build/peers.sh etcd         etcd, etcdctl, etcdutl            (minutes; part of `make test`)
#   build/peers.sh kubernetes   kube-apiserver, -controller-manager, -scheduler, kubelet, kubectl (in the background of it)
#
# They land in $ENGRAM_CACHE/peers/bin. A stamp over the module's files says when they are up to date.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ENGRAM_CACHE:-$HOME/.cache/engram}
which=${1:-etcd}
module=$root/jepsen-like-tests/peers/$which
bin=$cache/peers/bin
stamp=$cache/peers/$which.stamp

say() { printf 'peers: %s\n' "$*" >&2; }

case $which in
  etcd) programs=(etcd etcdctl etcdutl) ;;
  kubernetes) programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kubectl) ;;
  *) say "no such module: $which (etcd or kubernetes)"; exit 2 ;;
esac

# The package a program is built from, as the module's go.mod pins it.
package_of() {
  case $1 in
    etcd) echo . ;;
    etcdctl | etcdutl) echo "go.etcd.io/etcd/$1/v3" ;;
    *) echo "k8s.io/kubernetes/cmd/$1" ;;
  esac
}

wanted=$(
  shopt -s nullglob
  cd "$module"
  cat go.mod go.sum ./*.go "$root/build/peers.sh" | sha256sum | cut -d" " -f1
)
up_to_date() {
  [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] || return 1
  for program in "${programs[@]}"; do [ -x "$bin/$program" ] || return 1; done
}

mkdir -p "$bin"
# A lock of its own: the programs of one module do not wait for those of the other.
exec 9>"$cache/peers/.$which.lock"
flock 9
if up_to_date; then exit 0; fi
if ! command -v go >/dev/null; then
  say "Go (1.26 or newer) is needed to build the real $which programs: https://go.dev/dl"
  exit 1
fi

flags=()
if [ "$which" = kubernetes ]; then
  version=$(cd "$module" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
  flags=(-ldflags "-X k8s.io/component-base/version.gitVersion=$version")
fi

started=$SECONDS
count=0
for program in "${programs[@]}"; do
  count=$((count + 1))
  say "[$count/${#programs[@]}] building $program ($((SECONDS - started)) s so far)"
  (cd "$module" && CGO_ENABLED=0 go build -trimpath "${flags[@]}" -o "$bin/.$program.new" "$(package_of "$program")")
  mv "$bin/.$program.new" "$bin/$program"
done
echo "$wanted" >"$stamp"
say "${programs[*]} are in $bin ($((SECONDS - started)) s)"
