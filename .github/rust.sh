#!/usr/bin/env bash
# The Rust that Cargo.toml names becomes the default one; targets to build for beside the machine's own are arguments.
set -euo pipefail
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
rustup toolchain install "$version" --profile minimal --component rustfmt --component clippy
rustup default "$version"
# Otherwise rust-toolchain.toml would win.
export RUSTUP_TOOLCHAIN=$version
if [ -n "${GITHUB_ENV:-}" ]; then
    echo "RUSTUP_TOOLCHAIN=$version" >> "$GITHUB_ENV"
fi
for target; do
    rustup target add "$target"
done
