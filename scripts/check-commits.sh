#!/bin/sh
# Commit messages keep to CONTRIBUTING.md: check-commits.sh [BASE]
# Checks the commits since BASE; without it, those since the commit that brought this script.
set -u
cd "$(dirname "$0")/.."
if ! git rev-parse --git-dir >/dev/null 2>&1; then
    echo "check-commits: skipped: this is no git repository"
    exit 0
fi
base=${1:-$(git log --diff-filter=A --format=%H -- scripts/check-commits.sh | tail -n 1)}
[ -n "$base" ] || exit 0 # not committed yet

bad=0
for commit in $(git rev-list --no-merges "$base..HEAD"); do
    git log -1 --format=%B "$commit" | awk -v commit="$(git log -1 --format='%h "%s"' "$commit")" '
        function complain(what) { print "check-commits: " commit ": " what; bad = 1 }
        NR == 1 {
            if (length($0) > 72) complain("the subject has " length($0) " characters; at most 72")
            if ($0 !~ /^[A-Z]/) complain("the subject does not start with a capital letter")
            if ($0 ~ /\.$/) complain("the subject ends with a full stop")
            if ($1 ~ /(ing|[^e]ed)$/ && $1 !~ /^(Bring|Embed|Ping|Shed|Sling|Spring|String|Wed)$/)
                complain("\"" $1 "\" is not an imperative: write Fix, Add, Remove")
        }
        NR == 2 && $0 != "" { complain("the line after the subject is not empty") }
        NR > 2 && length($0) > 72 && / / && !/^ / { complain("a line of the body has " length($0) " characters; at most 72") }
        END { exit bad }' >&2 || bad=1
done
exit $bad
