#!/bin/sh
# Prints the logins of a published list, sorted: read.sh CONNECTION [NAMESPACE]
# Needs kubectl, jq and sha256sum. Exit code: 0 printed, 1 not read, 3 no list has been published.
set -eu
connection=${1:?usage: read.sh CONNECTION [NAMESPACE]}
namespace=${2:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

get() {
    kubectl get "$@" ${namespace:+"--namespace=$namespace"} </dev/null
}

fail() {
    echo "$2" >&2
    exit "$1"
}

# Writes the lines of all slices that the roster names; fails if a slice is missing or has another digest.
slices() {
    : >"$folder/lines"
    while read -r name digest; do
        get userslice "$name" --output='jsonpath={.data}' >"$folder/slice" || return 1
        [ "$(sha256sum <"$folder/slice")" = "$digest  -" ] || return 1
        cat "$folder/slice" >>"$folder/lines" || return 1
    done <"$folder/slices"
}

for start in 1 2 3 4 5; do
    [ "$start" = 1 ] || sleep 1
    get userroster "$connection" --output=json --ignore-not-found >"$folder/roster"
    [ -s "$folder/roster" ] || fail 3 "no list has been published for $connection; that is not an empty list"
    format=$(jq .format "$folder/roster")
    [ "$format" = 1 ] || fail 1 "the list is in format $format, which this script does not know"
    jq -r '.slices[] | select(.state == "Live" or .state == "Held") | "\(.name) \(.digest)"' \
        "$folder/roster" >"$folder/slices"
    if slices; then
        jq -r .login "$folder/lines" >"$folder/logins"
        LC_ALL=C sort "$folder/logins"
        exit
    fi
done
fail 1 "a slice of revision $(jq .revision "$folder/roster") of $connection is missing or damaged; nothing was printed"
