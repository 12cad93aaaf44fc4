#!/bin/sh
# Every option, criterion, method and op is declared once: count the files of src, cli and include whose code names it, and
# fail above the bound of its kind. CONTRIBUTING.md quotes the bounds. With -v: print the counts.
set -u
cd "$(dirname "$0")/.."
verbose=${1-}
bad=0
code=$(mktemp)
trap 'rm -f "$code"' EXIT

# FILE<tab>LINE for each line of code, without comments
find src cli include -name '*.[ch]' -o -name '*.def' | sort | while read -r file; do
    sed "s|/\*.*\*/||; /^ *\/\*/d; /^ *\* /d; s|/\*.*||; s|^|$file	|" "$file"
done >"$code"

# count KIND NAME BOUND PATTERN
count() {
    files=$(grep -E "	.*($4)" "$code" | cut -f1 | sort -u | tr '\n' ' ')
    # shellcheck disable=SC2086
    set -- "$1" "$2" "$3" $files
    kind=$1 name=$2 bound=$3
    shift 3
    [ "$verbose" = -v ] && echo "$# $kind $name: $*"
    [ "$#" -gt 0 ] && [ "$#" -le "$bound" ] && return
    echo "check-declared-once: $kind '$name' is named in $# files, expected 1 to $bound: $*" >&2
    bad=1
}

# name BOUND for what has a reason to stand in more files than others of its kind.
bound() {
    case $1 in
    epochs) echo 99 ;; # what a training costs, everywhere
    batch | rate | shift | epsilon | precision | dropout) echo 99 ;; # words of nets, images and timings too
    distil_share) echo 11 ;; # asked for by --teacher, kept out of the dense net
    CONV | DENSE) echo 32 ;; # the layers that pruning is about
    *) echo "$2" ;;
    esac
}

# Options of a recipe, besides the struct in coppice.h: the table, the place that uses it; named recipes, auto, a command.
for name in $(sed -n 's/.*{OPTION(\([a-z0-9_]*\), [A-Z]*).*/\1/p' src/train/recipe.c); do
    dashed=$(echo "$name" | tr _ -)
    count option "$name" "$(bound "$name" 9)" "(->|\.)$name\b|\"$name\"|\"$dashed\"|\($name,"
done
# Criteria and methods: the file and the line; besides, who asks for one by name.
for symbol in $(sed -n 's/^X(\([a-z0-9_]*\))/\1/p' src/prune/criteria.def); do
    count criterion "$symbol" 6 "\"$(echo "$symbol" | tr _ -)\"|X\($symbol\)|criterion_$symbol\b"
done
for symbol in $(sed -n 's/^X(\([a-z0-9_]*\))/\1/p' src/method/methods.def); do
    count method "$symbol" 7 "\"$(echo "$symbol" | tr _ -)\"|X\($symbol\)|method_$symbol\b"
done
# Ops: the line, the op, a file per room that has something to say of it, five tables of readers and writers.
for op in $(sed -n 's/^X(\([A-Z0-9_]*\),.*/\1/p' src/net/ops.def); do
    count op "$op" "$(bound "$op" 14)" "\bCOPI_OP_$op\b|X\($op,|OP_BIT\($op\)|class_$op\b|attributes_$op\b|ATTRIBUTES\($op\b"
done
exit $bad
