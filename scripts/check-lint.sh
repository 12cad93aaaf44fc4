#!/bin/sh
# clang-tidy 14 and cppcheck 2.10 find nothing to report: check-lint.sh [BUILD_DIR]
# .clang-tidy says which checks run, scripts/cppcheck-suppressions.txt what is reported without cause. Other versions
# report other things: where these are not installed, say so and check nothing.
set -u
cd "$(dirname "$0")/.."
build=${1:-build/asan}
jobs=$(nproc)
bad=0

if clang-tidy-14 --version >/dev/null 2>&1; then
    log=$build/clang-tidy.log
    run-clang-tidy-14 -quiet -j "$jobs" -p "$build" "$PWD/(src|cli|tests|fuzz|examples)/.*\.c\$" >"$log" 2>&1 ||
        { sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -vE '^clang-tidy|warnings? generated|^$'; bad=1; }
else
    echo "check-lint: clang-tidy skipped: version 14 is not installed"
fi

case $(cppcheck --version 2>/dev/null) in
*" 2.10"*)
    cppcheck --quiet -j "$jobs" --enable=warning,performance,portability --std=c11 --library=posix --error-exitcode=1 \
        --suppressions-list=scripts/cppcheck-suppressions.txt --template='{file}:{line}: {message} [{id}]' \
        -D_POSIX_C_SOURCE=200809L -Iinclude -Isrc -Itests/support src cli tests fuzz examples bench || bad=1
    ;;
*) echo "check-lint: cppcheck skipped: version 2.10 is not installed" ;;
esac
exit $bad
