#!/usr/bin/env bash
# Writes the archive of the plugin for a platform: archive.sh PLATFORM PROGRAM FOLDER, for instance linux-amd64.
set -euo pipefail
[ $# = 3 ] || {
    echo "usage: archive.sh PLATFORM PROGRAM FOLDER" >&2
    exit 1
}
root=$(cd "$(dirname "$0")/../.." && pwd)
content=$(mktemp -d)
trap 'rm -rf "$content"' EXIT
# Regular files only: Krew refuses an archive with a link.
case $1 in
windows-*)
    cp "$2" "$content/kubectl-boxsync.exe"
    cp "$root/config/completion/kubectl_complete-boxsync.cmd" "$content"
    ;;
linux-*)
    # A glibc that is linked statically loads the host's NSS modules, which belong to another glibc.
    if grep --quiet --text --fixed-strings nsswitch.conf "$2"; then
        echo "$2 contains glibc's name service switch: build it for musl" >&2
        exit 1
    fi
    cp "$2" "$content/kubectl-boxsync"
    cp "$root/config/completion/kubectl_complete-boxsync" "$content"
    ;;
*)
    cp "$2" "$content/kubectl-boxsync"
    cp "$root/config/completion/kubectl_complete-boxsync" "$content"
    ;;
esac
cp "$root/LICENSE" "$content"
mkdir -p "$3"
tar -czf "$3/kubectl-boxsync-$1.tar.gz" -C "$content" $(ls "$content")
