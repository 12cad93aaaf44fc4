#!/bin/sh
# Every C file is as clang-format 14 writes it with .clang-format. Other versions write some lines differently: where
# there is no version 14, say so and check nothing.
set -u
cd "$(dirname "$0")/.."
for tool in clang-format-14 clang-format; do
    case $($tool --version 2>/dev/null) in *"version 14."*) break ;; esac
    tool=
done
if [ -z "$tool" ]; then
    echo "check-format: skipped: clang-format 14 is not installed, and other versions format some lines differently"
    exit 0
fi
sources="src cli include tests fuzz examples bench"
find $sources -name '*.[ch]' -exec "$tool" --dry-run --Werror {} + || {
    echo "check-format: run: find $sources -name '*.[ch]' -exec $tool -i {} +" >&2
    exit 1
}
