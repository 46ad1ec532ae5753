#!/usr/bin/env bash
# Licences, bans, sources and duplicates of dependencies, of ours or of those in the folder that is named. Advisories
# when there is a clone of RustSec's database on this machine (ADVISORIES=DIR), since it cannot be fetched
# everywhere. Nothing here uses the network.
set -euo pipefail
database=${ADVISORIES:+$(realpath "$ADVISORIES")}
cd "${1:-$(dirname "$0")/..}"
if ! command -v cargo-deny > /dev/null; then
    if [ -n "${CI:-}" ]; then
        echo 'error: cargo-deny is missing' >&2
        exit 1
    fi
    echo 'skipped: cargo-deny is not installed (cargo install cargo-deny --locked)'
    exit 0
fi
cargo deny --locked --offline --log-level error check bans licenses sources
if [ -z "$database" ]; then
    echo 'advisories were not checked: ADVISORIES=DIR names a clone of the database'
    exit 0
fi

if ! dated=$(git -C "$database" log -1 --format=%cs); then
    echo "error: $ADVISORIES is not a clone of a database of advisories" >&2
    exit 2
fi
# cargo-deny wants the address of its database to have a host: git is told that this one is the folder.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
sed "s|^\[advisories\]\$|&\ndb-path = \"$folder/db\"\ndb-urls = [\"https://advisories.invalid/db\"]\ngit-fetch-with-cli = true|" \
    deny.toml > "$folder/deny.toml"
export GIT_CONFIG_COUNT=1
export GIT_CONFIG_KEY_0="url.file://$database.insteadOf" GIT_CONFIG_VALUE_0=https://advisories.invalid/db
cargo deny --log-level error --config "$folder/deny.toml" fetch db
cargo deny --locked --offline --log-level error --config "$folder/deny.toml" check advisories
echo "advisories were checked, as of $dated"
