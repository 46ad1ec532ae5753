#!/usr/bin/env bash
# Runs the server in the foreground, and the TTP beside it unless one is running.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LISTEN:=127.0.0.1:7275}"
mkdir -p var
ttp=
if ! [ "$(cat "/proc/$(cat var/ttp.pid 2>/dev/null || echo 0)/comm" 2>/dev/null)" = parlour-ttp ]; then
    bin/parlour-ttp serve --keys keys &
    ttp=$!
    trap 'kill "$ttp" 2>/dev/null || true; wait "$ttp" 2>/dev/null || true' EXIT
fi
bin/parlour-ttp show --keys keys --server "${HOST:-localhost}:${LISTEN##*:}" | head -n 3 || true
bin/parlour-server run --listen "$LISTEN" --keys keys/server --ttp keys/ttp/ttp.sock --data var/server
