#!/bin/sh
# Fuzz the readers one after another, each for that many seconds of processor time, and print the results.
#   scripts/fuzz.sh [SECONDS [READER ...]]      600 s of every fuzz/fuzz_READER.c
# New inputs go to build/fuzz/run/READER/corpus, findings to build/fuzz/run/READER/, and one line per reader to
# build/fuzz/run/log. To keep new inputs: build/fuzz/fuzz/fuzz_READER -merge=1 fuzz/corpus/READER CORPUS.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-600}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- $(ls fuzz/fuzz_*.c | sed 's,fuzz/fuzz_\(.*\)\.c,\1,')
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -- --quiet
ticks=$(getconf CLK_TCK)
pid=
trap '[ -z "$pid" ] || kill $pid 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM
found=0
for reader; do
    run=$PWD/build/fuzz/run/$reader
    mkdir -p "$run/corpus"
    flags=
    [ "$reader" != keras_h5 ] || flags=-detect_leaks=0 # libhdf5 leaks on damaged files
    build/fuzz/fuzz/fuzz_"$reader" $flags -artifact_prefix="$run/" -malloc_limit_mb=1024 -rss_limit_mb=2500 \
        -timeout=30 -print_final_stats=1 "$run/corpus" "fuzz/corpus/$reader" >"$run/log" 2>&1 &
    pid=$!
    spent=0
    while kill -0 $pid 2>/dev/null; do
        now=$(awk '{ print int(($14 + $15) / '"$ticks"') }' /proc/$pid/stat 2>/dev/null) && spent=${now:-$spent}
        [ "$spent" -lt "$seconds" ] || kill -INT $pid 2>/dev/null || true
        sleep 1
    done
    wait $pid || true
    pid=
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$run/log")
    finding=$(find "$run" -maxdepth 1 -type f ! -name log | head -1)
    echo "$reader: $spent s, ${executions:-0} executions, ${finding:-no finding}" | tee -a build/fuzz/run/log
    [ -z "$finding" ] || found=1
done
exit $found
