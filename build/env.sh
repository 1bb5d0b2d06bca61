# Source this (`. build/env.sh`) before calling cargo by hand: the settings every make target builds with.
#
# It only sets variables; build/ready.sh is what fetches and builds. Whatever is already set is kept.

engram_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export ENGRAM_CACHE=${ENGRAM_CACHE:-$HOME/.cache/engram}

# In CI the build output outlives the clone, so that a second run is warm.
if [ "${CI:-}" = true ]; then
  export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ENGRAM_CACHE/target}
  export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-0}
fi
export ENGRAM_TARGET_DIR=${CARGO_TARGET_DIR:-$engram_root/target}

# RocksDB is compiled once into an archive of its own, not once per profile and clone. The key is the version in
# Cargo.lock and the features asked for in Cargo.toml.
if [ -z "${ROCKSDB_LIB_DIR:-}" ]; then
  engram_rocksdb_version=$(sed -n '/^name = "librocksdb-sys"$/{n;s/^version = "\(.*\)"$/\1/p}' \
    "$engram_root/Cargo.lock")
  engram_rocksdb_features=$(sed -n 's/^rocksdb = //p' "$engram_root/Cargo.toml" | sha256sum | cut -c1-8)
  export ROCKSDB_LIB_DIR=$ENGRAM_CACHE/rocksdb/$engram_rocksdb_version-$engram_rocksdb_features
fi
export ROCKSDB_STATIC=1

# The libclang that build/ready.sh unpacked where the system has none. It carries no headers: gcc's serve.
if [ -z "${LIBCLANG_PATH:-}" ] && [ -e "$ENGRAM_CACHE/libclang/clang/native/libclang.so" ]; then
  export LIBCLANG_PATH=$ENGRAM_CACHE/libclang/clang/native
fi
if [ "${LIBCLANG_PATH:-}" = "$ENGRAM_CACHE/libclang/clang/native" ]; then
  export BINDGEN_EXTRA_CLANG_ARGS=${BINDGEN_EXTRA_CLANG_ARGS:--I$(gcc -print-file-name=include)}
fi
