# Everything a person or CI does here, one verb each. `make help` lists them.
#
# The tools (a test runner, PostgreSQL, moto, cargo-lambda) live in .turnkeep/ inside the checkout; nothing is installed
# outside it. PG_BIN=/path/to/bin names another PostgreSQL, PYTHON= another Python to make the tool environment with.

SHELL := /bin/bash
.DEFAULT_GOAL := help
# The steps of one verb depend on each other's build products, so `make -j` keeps their order; cargo uses all cores anyway.
.NOTPARALLEL:

# The tools come first in the PATH of every command that needs one.
WITH_TOOLS := PATH="$$PWD/.turnkeep/tools/bin:$$PATH"
TARGET := $(or $(CARGO_TARGET_DIR),target)
LOCAL := "$(TARGET)/release/turnkeep-local"

# Each cargo command below names the whole workspace (or, for the release build, the same packages): a different
# choice of packages would be a different choice of features, and so a second build of every dependency.
RELEASE := --release --locked -p capture -p rotation -p cli -p local -p benches
# What all verbs but `bench` need of them: linking is most of a release build.
BINARIES := --bin conversation-capture --bin secret-rotation --bin turnkeep --bin turnkeep-local --bin core
NEXTEST := cargo nextest run --workspace --locked

# A newer compiler brings new lints. They must not fail a newcomer's first run, so only the compilers that were used to write
# this deny them.
LINTED_WITH := 1.95
RUSTC = $(shell rustc --version | sed -E 's/^rustc ([0-9]+\.[0-9]+).*/\1/')
DENY = $(if $(filter $(LINTED_WITH),$(RUSTC)),-D warnings)

heading = @printf '\n== %s\n' "$(1)"

.PHONY: help
help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the two functions, `turnkeep` and the local stack in release mode
	@tools/preflight
	$(call heading,release build)
	cargo build $(RELEASE) $(BINARIES)

.PHONY: demo
demo: tools build ## run the main job on a throw-away stack and show what it did
	@$(WITH_TOOLS) $(LOCAL) demo

.PHONY: up
up: tools build ## start the local stack and print how to use it
	@$(WITH_TOOLS) $(LOCAL) up

.PHONY: env
env: ## print the environment of the running local stack, ready to paste
	@if [ ! -x $(LOCAL) ]; then echo "no local stack is running: make up" >&2; exit 1; fi
	@$(WITH_TOOLS) $(LOCAL) env

.PHONY: down
down: ## stop the local stack that `make up` started
	@if [ -x $(LOCAL) ]; then $(WITH_TOOLS) $(LOCAL) down; fi

.PHONY: test
test: tools valgrind lint check-template unit build budgets instructions e2e ## run everything CI runs; ends with the test runner's summary

.PHONY: check
check: tools lint ## format, lints, dependency rules, documentation and house rules, without the other tests
	$(call heading,house rules)
	$(WITH_TOOLS) $(NEXTEST) -E 'binary_id(e2e::tidy)'

.PHONY: lint
lint:
	$(call heading,format)
	cargo fmt --all --check
	$(call heading,lints)
	cargo clippy --workspace --all-targets --locked -- $(DENY)
	$(call heading,dependencies and licences)
	$(WITH_TOOLS) cargo deny --locked check bans licenses sources
	$(WITH_TOOLS) cargo shear --locked
	$(call heading,documentation)
	RUSTDOCFLAGS="$(DENY)" cargo doc --workspace --no-deps --locked

# TESTS narrows both kinds of tests to a filter of the test runner: make e2e TESTS='test(canary)'.
AND_TESTS = $(if $(TESTS), & ($(TESTS)))

.PHONY: unit
unit: tools ## the tests that need no server
	$(call heading,tests without servers)
	$(if $(TESTS),,cargo test --doc --workspace --locked --quiet)
	$(WITH_TOOLS) $(NEXTEST) -E 'not binary_id(e2e::e2e)$(AND_TESTS)'

# What the functions call of the AWS API in it is held against calls.json, and that against their roles' policies by
# `make check-template`.
CALLS := "$(CURDIR)/target/e2e-calls.txt"

# PostgreSQL and moto are started once, and every test makes its own database, bucket and queue.
.PHONY: e2e
e2e: tools pgbouncer node build ## the tests over PostgreSQL, the AWS API on loopback and the release binaries
	$(call heading,end-to-end tests)
	@mkdir -p target && rm -f $(CALLS)
	TURNKEEP_LOCAL_CALLS=$(CALLS) $(WITH_TOOLS) $(LOCAL) with -- $(NEXTEST) -E 'binary_id(e2e::e2e)$(AND_TESTS)'
	@.turnkeep/tools/bin/python tools/template/calls.py check $(CALLS) $(if $(TESTS),part)

.PHONY: e2e-calls-store
e2e-calls-store: tools ## accept the functions' calls of the AWS API as the last whole `make e2e` made them
	@.turnkeep/tools/bin/python tools/template/calls.py store $(CALLS)

# SECONDS= each; TARGET= one of them, and then not the folder that it is elsewhere here. KEEP=1 keeps what was found. A debug
# build, for its checks of overflow, with the dependencies of the tests.
SECONDS ?= 60
FUZZ_TARGETS := intake adapt key_escaping sanitize
FUZZED = $(if $(findstring command,$(origin TARGET)),$(TARGET),$(FUZZ_TARGETS))

.PHONY: fuzz
fuzz: ## look for inputs that break what must hold for any; TARGET=, SECONDS=, KEEP=1; needs a C++ compiler
	@KEEP="$(KEEP)" tools/fuzz/run "$(SECONDS)" $(FUZZED)

# SEED= and STRATEGY= repeat what a violation names; else the seed is a new one each time, and both strategies are played.
RUNS ?= 300
STRATEGY ?= both

.PHONY: rotation-chaos
rotation-chaos: tools build ## cut, delay, double and kill RUNS= rotations at random, from SEED= on
	$(call heading,rotations with random faults)
	@$(WITH_TOOLS) $(LOCAL) rotation-chaos --runs "$(RUNS)" --strategy "$(STRATEGY)" $(if $(SEED),--seed "$(SEED)")

.PHONY: capture-chaos
capture-chaos: tools build ## cut, delay, double and kill the deliveries of RUNS= queues at random, from SEED= on
	$(call heading,captures with random faults)
	@$(WITH_TOOLS) $(LOCAL) capture-chaos --runs "$(RUNS)" $(if $(SEED),--seed "$(SEED)")

# The drivers of one test, where there is npm.
.PHONY: node
node:
	@tools/node/install

# ROTATIONS= of each run; QUICK=1 a tenth of them, and no long ones.
ROTATIONS ?= 200
LOAD := target/rotation-load

.PHONY: rotation-load
rotation-load: tools ## connect without pause through ROTATIONS= rotations, under two policies; minutes: docs/performance.md
	$(call heading,release build)
	cargo build $(RELEASE) --bin secret-rotation --bin turnkeep-rotation-load
	$(call heading,connects through rotations)
	@$(WITH_TOOLS) "$(TARGET)/release/turnkeep-rotation-load" --rotations "$(ROTATIONS)" --output $(LOAD) $(if $(QUICK),--quick)

.PHONY: rotation-load-store
rotation-load-store: ## keep the picture of the last run in docs/
	cp $(LOAD)/timeline.svg docs/rotation-timeline.svg

# EVENTS= in the archive.
EVENTS ?= 20000

.PHONY: replay-rate
replay-rate: tools ## measure how many events a second `turnkeep replay` brings into an empty database: docs/operations.md
	$(call heading,release build)
	cargo build $(RELEASE) --bin turnkeep --bin turnkeep-replay-rate
	$(call heading,rebuild from a local S3)
	@$(WITH_TOOLS) "$(TARGET)/release/turnkeep-replay-rate" --events "$(EVENTS)"

# What the functions weigh and compute. Neither asks the clock, so a busy machine fails nothing.
.PHONY: budgets
budgets: tools build
	$(call heading,size of the functions)
	@.turnkeep/tools/bin/python tools/package/zip.py budgets "$(TARGET)/release"

.PHONY: instructions
instructions: tools valgrind build ## count the instructions of a turn's pure part, against benches/instructions.json
	$(call heading,instructions)
	@.turnkeep/tools/bin/python tools/instructions/count.py check "$(TARGET)/release/core"

.PHONY: instructions-store
instructions-store: tools valgrind build ## accept the instructions of a turn's pure part as they are now
	@.turnkeep/tools/bin/python tools/instructions/count.py store "$(TARGET)/release/core"

.PHONY: pgbouncer
pgbouncer:
	@tools/install-pgbouncer

.PHONY: valgrind
valgrind:
	@tools/instructions/install-valgrind

# AGAINST= another stored run, QUICK=1 a tenth of the work.
RUN := target/bench/last.json
STORED := benches/stored.json
AGAINST ?= $(STORED)

.PHONY: bench
bench: tools ## measure what a start, a turn and a batch cost, beside hello and a floor; minutes: docs/performance.md
	$(call heading,release build)
	cargo build $(RELEASE)
	@mkdir -p $(dir $(RUN))
	@.turnkeep/tools/bin/python tools/package/zip.py sizes "$(TARGET)/release" > target/bench/sizes.json
	$(call heading,benchmark)
	@$(WITH_TOOLS) "$(TARGET)/release/turnkeep-bench" --sizes target/bench/sizes.json --output $(RUN) $(if $(QUICK),--quick) $(BENCH)

.PHONY: bench-memory
bench-memory: tools ## measure the peak memory of a batch of 6 MB; fails above 48 MiB
	$(call heading,release build)
	cargo build $(RELEASE)
	@$(WITH_TOOLS) "$(TARGET)/release/turnkeep-bench" --memory --output target/bench/memory.json $(if $(QUICK),--quick)

.PHONY: bench-redaction
bench-redaction: ## measure how many megabytes of text redaction takes in a second; fails below 50
	cargo build $(RELEASE)
	@"$(TARGET)/release/redaction"

.PHONY: bench-compare
bench-compare: ## measure again and show it beside the stored run
	@$(MAKE) --no-print-directory bench BENCH='--against "$(AGAINST)"'

.PHONY: bench-store
bench-store: ## keep the last run as the stored one
	cp $(RUN) $(STORED)

# This machine's architecture needs nothing that `make test` does not need; the template's default is arm64.
ARCH ?= $(patsubst aarch64,arm64,$(shell uname -m))
PACKAGES := "$(TARGET)/package/$(ARCH)"

.PHONY: package
package: tools ## build the zips for Lambda, ARCH=arm64 or x86_64: docs/packaging.md
	@tools/package/build "$(ARCH)"

# RUNNER= what runs a program of ARCH, if this machine does not.
.PHONY: package-start
package-start: tools ## start the packed functions up to their first request for an event
	@.turnkeep/tools/bin/python tools/package/start.py $(PACKAGES) $(RUNNER)

# As a deployment does it, up to AWS.
.PHONY: package-sam
package-sam: tools build ## have SAM build both functions and upload them, to a local S3; ARCH=; takes minutes
	@$(WITH_TOOLS) $(LOCAL) with -- tools/template/package "$(ARCH)"

.PHONY: package-reproducible
package-reproducible: tools ## build the zips twice in two folders and compare their bytes; takes minutes
	@tools/package/reproduce "$(ARCH)"

# Everything about the template: docs/deploy.md.
STAGE ?= dev
TEMPLATE_PYTHON := .turnkeep/template/sam/bin/python

.PHONY: check-template
check-template: ## lint the template, hold it against public and own rules, compare its pages; needs no AWS account
	@tools/template/install
	$(call heading,template)
	@tools/template/check

# A sample of them is part of check-template.
.PHONY: template-mutations
template-mutations: ## make thousands of defects in the template and count those that our rules find
	@tools/template/install
	@$(TEMPLATE_PYTHON) tools/template/mutations.py

.PHONY: docs-template
docs-template: ## write docs/cost.md, docs/controls.md and what the tests tell the functions from the template
	@tools/template/install
	@$(TEMPLATE_PYTHON) tools/template/cost.py write
	@$(TEMPLATE_PYTHON) tools/template/controls.py write
	@$(TEMPLATE_PYTHON) tools/template/functions.py write

# PARAMETERS="AlertEmail=a@b.example ExportPrefix=ial" sets parameters of template.yaml.
.PHONY: deploy
deploy: tools ## build both functions and deploy the stack, STAGE=dev or prod; shows the change and asks
	@tools/template/deploy "$(STAGE)" $(PARAMETERS)

.PHONY: destroy
destroy: tools ## take the stack of STAGE= down; asks, and keeps the data
	@tools/template/destroy "$(STAGE)"

.PHONY: verify-live
verify-live: ## print the commands that show what only a real account can
	@tools/template/verify-live "$(STAGE)"

.PHONY: tools
tools: ## install the pinned tools into .turnkeep/tools
	@tools/preflight
	@tools/install

.PHONY: requirements
requirements: ## choose the newest tools that tools/requirements.in allows
	tools/update-requirements

# FROM=file where the bundle was downloaded on another machine.
.PHONY: ca-bundle
ca-bundle: tools ## refresh the built-in Amazon RDS roots from AWS
	.turnkeep/tools/bin/python tools/ca-bundle/convert.py aws $(if $(FROM),"$(FROM)")

.PHONY: clean
clean: down ## stop the local stack; remove the builds and the tools
	rm -rf .turnkeep
	cargo clean
