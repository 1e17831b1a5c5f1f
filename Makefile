# The commands of this repository. Needed: Rust, Go 1.26 or newer, a C compiler.
# ARGS is passed to the demo, the benchmark and the operator; T is (a part of) the name of a test.

.PHONY: demo run unit sim walks e2e test test-cluster-wide bench docs generate lint
.NOTPARALLEL:

TARGET := $(or $(CARGO_TARGET_DIR),target)

# The demo: connect, sync, fail, fix. ARGS=--once ends without a key press; ARGS="--context NAME" uses an existing cluster.
demo:
	@command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	cargo build --locked --release --package boxsync --package harness --bin boxsync-operator --bin kubectl-boxsync --bin demo
	@$(TARGET)/release/demo $(ARGS)

# The operator on this machine, against the cluster of the current kubeconfig context. The CRDs must be installed there:
# kubectl apply --server-side -f crds/
# Example: make run ARGS="--watch-namespace team-a --leader-elect=false"
run:
	cargo run --locked --bin boxsync-operator -- run --log-format text --listen 127.0.0.1:8080 $(ARGS)

# The unit tests, which need no cluster. T=name runs those whose path contains it: make unit T=plan
unit:
	cargo test --locked --lib -- $(T)

# The simulation: the real controllers, an in-memory API server and a simulated Box under paused time.
# Example: make sim T=removal_guard
sim:
	cargo test --locked --test sim -- $(T)

# Random walks over faults, a walk for each seed. Example: make walks SEEDS=17..18
SEEDS := 0..2000
walks:
	WALK_SEEDS=$(SEEDS) cargo test --locked --profile walks --test sim -- random_walk

# The end-to-end tests: the binaries on a real control plane. Example: make e2e T=upgrading
e2e:
	cargo run --locked --quiet --package harness --bin tools
	cargo test --locked --test e2e -- $(T)

# Everything. The tools of the control plane are built first, so that no test waits for them; clippy runs last because it
# compiles all dependencies once more.
test:
	cargo fmt --all --check
	cargo run --locked --quiet --package harness --bin tools
	cargo test --locked --workspace
	cargo clippy --locked --workspace --all-targets -- --deny warnings

# The end-to-end tests with a ClusterRole for all namespaces: each on its own control plane, two at a time.
test-cluster-wide:
	cargo test --locked --test e2e --no-run
	cargo test --locked --quiet --test e2e -- --list --format=terse | sed -n 's/: test$$//p' \
		| E2E_RIGHTS=cluster-wide xargs -P 2 -I TEST cargo test --locked --quiet --test e2e -- --exact TEST

# Measures the figures in the docs.
bench:
	cargo bench --locked --bench bench -- $(ARGS)

# The docs as a site with search, in target/site/book. The first run builds mdBook (2 min).
MDBOOK := $(TARGET)/tools/mdbook-0.5.4
docs: $(MDBOOK)/bin/mdbook
	xtask/site.sh $< $(TARGET)/site

$(MDBOOK)/bin/mdbook:
	cargo install mdbook --locked --version 0.5.4 --no-default-features --features search --root $(MDBOOK)

# Writes the generated files; `make test` fails if one is out of date. xtask first: the others read its files.
generate:
	cargo run --locked --quiet --package xtask -- generate
	UPDATE_GENERATED=1 cargo test --locked --lib up_to_date
	UPDATE_GENERATED=1 cargo test --locked --package gitops the_
	UPDATE_GENERATED=1 cargo test --locked --test cli views::
	UPDATE_GENERATED=1 cargo test --locked --test e2e generated::

# Formatting and clippy, as `make test` runs them.
lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
