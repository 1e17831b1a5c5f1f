# syntax=docker/dockerfile:1
# Both binaries, linked statically, on an image that holds certificates and nothing else. Builds on the machine of each
# platform, or emulated:
#   docker buildx build --platform linux/amd64,linux/arm64 --tag REGISTRY/boxsync-operator:0.1.0 --push .
# docs/installing.md says how to make the same image twice.

# A release pins both by digest: --build-arg RUST=rust@sha256:… --build-arg BASE=gcr.io/distroless/static-debian13@sha256:…
ARG RUST=rust:1.95-slim-trixie
ARG BASE=gcr.io/distroless/static-debian13:nonroot
# The SBOM is to name what was compiled in, which only Cargo.lock tells; what the tests need stands there too.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true

FROM ${RUST} AS build
WORKDIR /src
COPY . .
# Static glibc rather than musl: its allocator is the one that the figures were measured with. The target is named so that
# the flags hold for the binaries alone, not for the compiler's own plugins.
ENV CARGO_INCREMENTAL=0 \
    RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/usr/local/cargo=/cargo"
RUN target="$(rustc --print host-tuple)" \
    && cargo build --locked --release --target "$target" --package boxsync --bins \
    && install -D --target-directory /out/usr/local/bin \
        "target/$target/release/boxsync-operator" "target/$target/release/kubectl-boxsync" \
    && /out/usr/local/bin/boxsync-operator --version

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="boxsync-operator" \
    org.opencontainers.image.description="Keeps the user lists of connected Box enterprises in sync" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.source="${SOURCE}"
COPY --from=build /out/ /
# Memory of a long list goes back to the node once the list is published.
ENV MALLOC_MMAP_THRESHOLD_=65536 \
    MALLOC_TRIM_THRESHOLD_=131072
# By number, since Kubernetes cannot tell of a name whether it is root. Any other will do.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/boxsync-operator"]
CMD ["run"]
