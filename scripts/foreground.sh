#!/usr/bin/env bash
# Runs the server in the foreground, and the TTP beside it unless one is running. Their process numbers are under var/,
# where start.sh and stop.sh look for them. However this script ends, what it started ends with it.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LISTEN:=127.0.0.1:7275}"
mkdir -p var
exec 9> var/start.lock
flock 9

running() { # NAME
    local program=parlour-$1
    [ "$(cat "/proc/$(cat "var/$1.pid" 2>/dev/null || echo 0)/comm" 2>/dev/null)" = "${program:0:15}" ]
}

if running server; then
    echo 'error: a server runs already, with the same data' >&2
    echo 'hint: stop it first, with make stop' >&2
    exit 2
fi
ttp= server=
finish() {
    trap - EXIT INT TERM HUP
    for name in server ttp; do
        [ -n "${!name}" ] || continue
        kill "${!name}" 2>/dev/null || true
        wait "${!name}" 2>/dev/null || true
        if [ "$(cat "var/$name.pid" 2>/dev/null)" = "${!name}" ]; then rm -f "var/$name.pid"; fi
    done
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if ! running ttp; then
    bin/parlour-ttp serve --keys keys 9>&- &
    ttp=$!
    echo "$ttp" > var/ttp.pid
fi
bin/parlour-ttp show --keys keys --server "${HOST:-localhost}:${LISTEN##*:}" | head -n 3 || true
bin/parlour-server run --listen "$LISTEN" --keys keys/server --ttp keys/ttp/ttp.sock --data var/server 9>&- &
server=$!
echo "$server" > var/server.pid
flock -u 9
wait "$server"
