# The commands of this repository. Needed: Rust, Go 1.26 or newer, a C compiler. ARGS goes to the demo and the benchmark.

.PHONY: demo test test-cluster-wide bench generate lint
.NOTPARALLEL:

TARGET := $(or $(CARGO_TARGET_DIR),target)

# The main job, told step by step. ARGS=--once ends by itself; ARGS="--context NAME" uses a cluster that is there.
demo:
	@command -v cargo >/dev/null || { echo "Rust is missing: see https://rustup.rs" >&2; exit 1; }
	cargo build --locked --release --package boxsync --package harness --bin boxsync-operator --bin kubectl-boxsync --bin demo
	@$(TARGET)/release/demo $(ARGS)

# Everything. The tools of the control plane come first, so that their minutes are not a test's; clippy comes last,
# since it compiles all dependencies once more.
test:
	cargo fmt --all --check
	cargo run --locked --quiet --package harness --bin tools
	cargo test --locked --workspace
	cargo clippy --locked --workspace --all-targets -- --deny warnings

# The end-to-end tests once more, now with the rights for all namespaces: each on a control plane of its own, two at a time.
test-cluster-wide:
	cargo test --locked --test e2e --no-run
	cargo test --locked --quiet --test e2e -- --list --format=terse | sed -n 's/: test$$//p' \
		| E2E_RIGHTS=cluster-wide xargs -P 2 -I TEST cargo test --locked --quiet --test e2e -- --exact TEST

# The figures of the operator, measured.
bench:
	cargo bench --locked --bench bench -- $(ARGS)

# crds/ and the other files that are made from others; `make test` fails where they are not up to date.
generate:
	UPDATE_GENERATED=1 cargo test --locked --lib the_
	UPDATE_GENERATED=1 cargo test --locked --test sim gitops::the_
	UPDATE_GENERATED=1 cargo test --locked --test e2e generated::

lint:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
