# The daily verbs. Thin: what needs logic is in build/ (getting ready to compile) and in `cargo xtask`.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test build verify fix peers peers-kubernetes bench run3 sim fuzz jepsen clean

ready := build/ready.sh
SEED ?=
TARGET ?=
ROUNDS ?= 30
ARGS ?=

help: ## say what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):[^#]*## /  make \1\t/' | expand -t 26

run: ## build the release binary and start `engram dev`
	@$(ready) build/binary.sh
	@exec bin/engram dev $(ARGS)

test: ## everything: unit, black-box, differential, crash and simulation tests
	@$(ready) build/mirror.sh cargo xtask test

build: ## leave the release binary at bin/engram
	@$(ready) build/binary.sh

verify: ## formatting, lints, docs, licences, tidy and `cargo test`; writes nothing
	@$(ready) build/mirror.sh cargo xtask verify

fix: ## formatting and the lints that can mend themselves; generated documents
	@$(ready) cargo xtask fix

peers: ## the real etcd, etcdctl and etcdutl, in the cache
	@build/peers.sh etcd

peers-kubernetes: ## the real Kubernetes programs, in the cache
	@build/peers.sh kubernetes

bench: peers peers-kubernetes build ## Engram beside the real etcd and kube-apiserver, on this machine
	@$(ready) cargo xtask bench

run3: build ## a quorum of three members on this machine
	@exec bin/engram dev --nodes 3 $(ARGS)

sim: ## a simulated cluster; SEED=n for one seed
	@$(ready) cargo xtask sim $(SEED)

fuzz: ## libFuzzer on what reads bytes from outside; TARGET=requests|bbolt|wal|log|gateway, SECONDS=n for each
	@build/fuzz.sh "$(TARGET)" "$(or $(SECONDS),60)"

jepsen: peers build ## kill -9, pause and restart real members under load; ROUNDS=n
	@$(ready) cargo xtask jepsen $(ROUNDS)

clean: ## remove build output (not the cache)
	@rm -rf bin target engram-dev
