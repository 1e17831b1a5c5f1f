#!/usr/bin/env bash
# site.sh MDBOOK FOLDER: the docs as a site with search. Pages that are not in docs/ are given a place in it, so that each
# link of the docs leads somewhere in the site too.
set -euo pipefail
mdbook=$(realpath "$1") site=$2
cd "$(dirname "$0")/.."
rm -rf "$site"
mkdir -p "$site/src/charts/boxsync-operator/files"
cp -R docs/. "$site/src"
mv "$site/src/book.toml" "$site"
cp -R config crds "$site/src"
cp charts/boxsync-operator/files/dashboard.json "$site/src/charts/boxsync-operator/files"
cp CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE "$site/src"
cp charts/boxsync-operator/README.md "$site/src/charts/boxsync-operator/values.md"
# Beside the pages of docs/, no link needs docs/ or ../ any more; a folder has no page of its own in a site.
sed -i -E -e 's#\]\(docs/#](#g' -e 's#\]\(\.\./#](#g' -e 's#\(charts/boxsync-operator/README\.md#(charts/boxsync-operator/values.md#g' \
    -e 's#\[([^]]+)\]\((config/samples|config/argocd|examples|schemas)\)#`\2`#g' "$site/src"/*.md
sed -i -e 's#^- \[Versions\].*#&\n- [Changes](CHANGELOG.md)\n- [Values of the chart](charts/boxsync-operator/values.md)#' \
    -e 's#^- \[The supply chain\].*#&\n- [Reporting a vulnerability](SECURITY.md)#' \
    -e 's#^- \[Developing\].*#&\n- [Contributing](CONTRIBUTING.md)#' "$site/src/SUMMARY.md"
"$mdbook" build "$site" --dest-dir "$(realpath "$site")/book"
