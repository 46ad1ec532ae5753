#!/usr/bin/env bash
# Stops what start.sh started, and waits until it has ended.
set -euo pipefail
cd "$(dirname "$0")/.."
for name in server ttp; do
    pid=$(cat "var/$name.pid" 2>/dev/null || true)
    [ -n "$pid" ] || continue
    program=parlour-$name
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${program:0:15}" ]; then
        kill "$pid"
        for _ in $(seq 600); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        if kill -0 "$pid" 2>/dev/null; then
            echo "error: $program ($pid) does not stop" >&2
            exit 2
        fi
        echo "stopped $program"
    fi
    rm -f "var/$name.pid"
done
