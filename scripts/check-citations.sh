#!/bin/sh
# What code cites as docs/methods.md, "Heading" has that heading, and nothing cites a document outside the repository.
set -u
cd "$(dirname "$0")/.."
bad=0

# cites PATTERN: the lines of all texts but this one that match, as FILE:LINE:TEXT
cites() {
    grep -rnIE --exclude-dir=corpus --exclude-dir=fixtures --exclude=check-citations.sh "$1" \
        src include cli tests docs bench scripts fuzz examples cmake ./*.md
}

if cites '(METHODS( section|:)|(METHODS|DESIGN|FORMATS|STYLE|USERS)\.md|\.\./shared)'; then
    echo "check-citations: the lines above cite a document outside the repository" >&2
    bad=1
fi

cites 'docs/methods\.md' | awk '
    FILENAME == "docs/methods.md" { if (sub(/^#+ /, "")) heading[$0] = 1; next }
    {
        split($0, at, ":")
        rest = $0
        while (match(rest, /docs\/methods\.md/)) {
            rest = substr(rest, RSTART + RLENGTH)
            title = match(rest, /^, "[^"]*"/) ? substr(rest, 4, RLENGTH - 4) : ""
            if (title in heading || (title == "" && at[1] ~ /\.md$/)) continue # a document may name the whole page
            print "check-citations: " at[1] ":" at[2] ": docs/methods.md has no heading \"" title "\""
            bad = 1
        }
    }
    END { exit bad }' docs/methods.md - >&2 || bad=1
exit $bad
