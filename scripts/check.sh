#!/bin/sh
# Every check: format, commit messages, lint; then the tests, built by gcc with warnings as errors, by clang with
# AddressSanitizer and UBSan, and those of threads with ThreadSanitizer. The totals are the last lines.
#
# Tests run side by side, as many as there are processors. The only limit on their time is the one here: 10 minutes a
# test on an idle machine, more on a loaded one. COPPICE_TEST_SLOW=N makes it N times as long.
set -u
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive KMP_BLOCKTIME=0 # the tests share few cores; spinning threads would starve each other
jobs=$(nproc)
slow=${COPPICE_TEST_SLOW:-$(awk -v jobs="$jobs" '{ print 1 + int($1 / jobs) }' /proc/loadavg)}
failed=0
totals=

# say WHAT COMMAND...: say what is going on, and how long it took
say() {
    echo "== $1"
    shift
    begin=$(date +%s)
    "$@"
    code=$?
    [ $(($(date +%s) - begin)) -lt 5 ] || echo "   $(($(date +%s) - begin)) s"
    return $code
}

# gate WHAT COMMAND...: go on when it finds something, and fail at the end
gate() {
    say "$@" || failed=1
}

# build PRESET: stop when it fails
build() {
    mkdir -p build
    say "configure $1" sh -c "cmake --preset $1 > build/$1.log 2>&1 || { cat build/$1.log; exit 1; }" &&
        say "build $1" cmake --build --preset "$1" -- --quiet || { echo "check: failed: build $1" >&2; exit 1; }
}

# tests PRESET WORDS: run a preset's tests and keep its totals
tests() {
    echo "== tests, $2"
    log=build/$1/tests.log
    ctest --preset "$1" -j "$jobs" --timeout $((600 * slow)) >"$log" 2>&1
    code=$?
    [ $code = 0 ] && grep 'Total Test time' "$log" || grep -vE '^ +Start +[0-9]+:|   Passed  ' "$log"
    line=$(grep -E 'tests passed|tests failed' "$log" | tail -n 1)
    totals="$totals$2: ${line:-no tests ran}
"
    case $code$line in 0*passed*) ;; *) failed=1 ;; esac
}

gate "format" scripts/check-format.sh
gate "commit messages" scripts/check-commits.sh
for preset in dev asan tsan; do build $preset; done
gate "lint" scripts/check-lint.sh build/asan
tests dev "gcc"
tests asan "clang, AddressSanitizer and UBSan"
tests tsan "clang, ThreadSanitizer"
[ $failed = 0 ] || echo "check: failed, see above" >&2
echo "== totals"
printf '%s' "$totals"
exit $failed
