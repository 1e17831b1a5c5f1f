#!/usr/bin/env bash
# Prints the version that a tag releases: version.sh v0.1.0. Fails where Cargo.toml, the chart and the Dockerfile do not
# speak of the same one, or CHANGELOG.md says nothing of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=${1#v}
said() {
    [ "$2" = "$version" ] || {
        echo "the tag is of $version, and $1 says '$2'" >&2
        exit 1
    }
}
said Cargo.toml "$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)"
said "the chart's version" "$(sed -n 's/^version: //p' charts/boxsync-operator/Chart.yaml)"
said "the chart's appVersion" "$(sed -n 's/^appVersion: //p' charts/boxsync-operator/Chart.yaml)"
said Dockerfile "$(sed -n 's/^ARG VERSION=//p' Dockerfile)"
.github/release/notes.sh "$version" >/dev/null
echo "$version"
