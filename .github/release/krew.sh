#!/usr/bin/env bash
# Prints the manifest for Krew: krew.sh VERSION URL FOLDER. URL is where the project lives, FOLDER holds the archives.
set -euo pipefail
[ $# = 3 ] || {
    echo "usage: krew.sh VERSION URL FOLDER" >&2
    exit 1
}
manifest=$(sed -e "s|{{ version }}|$1|g" -e "s|{{ homepage }}|$2|g" -e "s|{{ downloads }}|$2/releases/download|g" \
    "$(dirname "$0")/../../config/krew/boxsync.yaml")
for archive in "$3"/kubectl-boxsync-*.tar.gz; do
    platform=$(basename "$archive" .tar.gz)
    digest=$(sha256sum "$archive" | cut -d ' ' -f 1)
    manifest=${manifest//"{{ sha256 ${platform#kubectl-boxsync-} }}"/$digest}
done
if grep -v '^#' <<<"$manifest" | grep -F '{{' >&2; then
    echo "that is still to be filled in: an archive is missing in $3" >&2
    exit 1
fi
grep -v '^#' <<<"$manifest"
