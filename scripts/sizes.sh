#!/usr/bin/env bash
# Prints the size of each crate, and the files of more than 400 lines: a sign that two things live in one.
set -euo pipefail
cd "$(dirname "$0")/.."
for crate in protocol envelope crypto keylog upkeep sandbox server client ttp bench tests; do
    lines=$(git ls-files "$crate/*.rs" | xargs -r cat | wc -l)
    files=$(git ls-files "$crate/*.rs" | wc -l)
    printf '%-9s %3d files %6d lines\n' "$crate" "$files" "$lines"
done
git ls-files '*.rs' | xargs wc -l | awk '$2 != "total" && $1 > 400 { print "over 400 lines: " $2 " (" $1 ")" }'
