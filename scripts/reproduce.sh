#!/usr/bin/env bash
# Builds the commit twice, in folders with different paths, and compares the programs byte by byte. This takes long:
# PROFILE=release is quicker than the profile for distribution, PACKAGES=parlour-ttp builds less.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
commit=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
for build in one two-with-another-path; do
    mkdir -p "$folder/$build/source"
    git archive "$commit" | tar x -C "$folder/$build/source"
    echo "building in $folder/$build"
    scripts/ship.sh "$folder/$build/source" "$folder/$build/made/by/$build" "$folder/$build/programs"
    # The first one's objects are not needed any more.
    rm -rf "$folder/$build/made"
done
failed=0
cd "$folder"
for program in one/programs/parlour*; do
    name=${program##*/}
    if cmp "$program" "two-with-another-path/programs/$name"; then
        echo "$name: the same bytes twice"
    else
        failed=1
        if command -v diffoscope > /dev/null; then
            diffoscope --max-text-report-size 20000 "$program" "two-with-another-path/programs/$name" >&2 || true
        fi
    fi
    if grep -aqF -e "$folder" -e "$HOME/" "$program"; then
        echo "error: $name names a path of this machine" >&2
        failed=1
    fi
done
exit "$failed"
