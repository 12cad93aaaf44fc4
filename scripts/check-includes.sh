#!/bin/sh
# No room includes one above it (docs/design.md), only the engine includes dnnl.h, and the program only coppice.h.
set -u
cd "$(dirname "$0")/.."
bad=0

# allow ROOM "ROOM...": the rooms whose headers its files may include
allow() {
    [ -d "src/$1" ] || return 0
    for file in $(find "src/$1" -name '*.[ch]'); do
        for room in $(sed -n 's|^ *# *include *"\([a-z]*\)/.*|\1|p' "$file" | sort -u); do
            case " coppice $1 $2 " in
            *" $room "*) ;;
            *) echo "check-includes: $file includes room '$room'; src/$1 may include: ${2:-nothing but itself}" >&2; bad=1 ;;
            esac
        done
    done
}
allow base ""
allow net "base"
allow data "base"
allow io "base net"
allow engine "base net"
allow train "base net data io engine"
allow prune "base net data io engine train"
allow method "base net data io engine train prune"
allow study "base net data io engine train prune method"
allow report "base net data io engine train prune method study"
allow search "base net data io engine train prune method study report"
allow api "base net data io engine train prune method study report search"

for file in $(grep -rlE '^ *# *include *[<"].*dnnl' src cli tests bench 2>/dev/null); do
    case $file in src/engine/*) ;; *) echo "check-includes: $file includes oneDNN; only src/engine may" >&2; bad=1 ;; esac
done
for file in cli/*.c cli/*.h; do
    for header in $(sed -n 's|^ *# *include *"\(.*\)"|\1|p' "$file"); do
        case $header in
        coppice/coppice.h) ;;
        */*) echo "check-includes: $file includes $header; the program may include coppice/coppice.h only" >&2; bad=1 ;;
        *) [ -f "cli/$header" ] || { echo "check-includes: $file includes $header, which is not in cli/" >&2; bad=1; } ;;
        esac
    done
done
exit $bad
