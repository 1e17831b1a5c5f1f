#!/usr/bin/env bash
# Prints what CHANGELOG.md says of a version: notes.sh 0.1.0
set -euo pipefail
cd "$(dirname "$0")/../.."
notes=$(awk -v heading="## [$1]" 'index($0, "## ") == 1 { inside = index($0, heading) == 1; next } inside' CHANGELOG.md)
[ -n "$notes" ] || {
    echo "CHANGELOG.md says nothing of $1" >&2
    exit 1
}
echo "$notes"
