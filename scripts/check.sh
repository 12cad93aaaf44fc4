#!/bin/sh
# Every test: gcc with warnings as errors, then clang with AddressSanitizer and UBSan. The totals are the last lines.
set -u
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive KMP_BLOCKTIME=0 # the tests share few cores; spinning threads would starve each other
failed=0
totals=

# run NAME COMMAND...: say what is going on, stop at a failed build
stage() {
    echo "== $1"
    shift
    "$@" || { echo "check: failed: $*" >&2; exit 1; }
}

# tests PRESET WORDS: run a preset's tests and keep its totals
tests() {
    echo "== tests, $2"
    log=build/$1/tests.log
    ctest --preset "$1" --timeout 600 >"$log" 2>&1
    code=$?
    [ $code = 0 ] && tail -n 12 "$log" | grep -E 'Total Test time' || cat "$log"
    [ $code = 0 ] || failed=1
    line=$(grep -E 'tests passed|tests failed' "$log" | tail -n 1)
    totals="$totals$2: ${line:-no tests ran}
"
    case $line in *passed*) ;; *) failed=1 ;; esac
}

for preset in dev asan; do
    stage "configure $preset" sh -c "mkdir -p build && cmake --preset $preset > build/$preset.log 2>&1 || { cat build/$preset.log; exit 1; }"
    stage "build $preset" cmake --build --preset "$preset" -- --quiet
done
tests dev "gcc"
tests asan "clang, AddressSanitizer and UBSan"
echo "== totals"
printf '%s' "$totals"
exit $failed
