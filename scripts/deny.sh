#!/usr/bin/env bash
# Licences, bans, sources and duplicates of dependencies; advisories when there is a database of them
# on this machine (ADVISORY_DB=DIR), since it cannot be fetched everywhere.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v cargo-deny > /dev/null; then
    if [ -n "${CI:-}" ]; then
        echo 'error: cargo-deny is missing' >&2
        exit 1
    fi
    echo 'skipped: cargo-deny is not installed (cargo install cargo-deny --locked)'
    exit 0
fi
cargo deny --locked --offline --log-level error check bans licenses sources
if [ -n "${ADVISORY_DB:-}" ]; then
    cargo deny --locked --offline --log-level error check advisories
fi
