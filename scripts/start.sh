#!/usr/bin/env bash
# Starts TTP and server in the background if they are not running. Data, logs (var/log/) and process numbers
# are under var/. A lock keeps two runs of this script from racing.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LISTEN:=127.0.0.1:7275}"
mkdir -p var/log
exec 9> var/start.lock
flock 9

# True if the process whose number is in a file runs this program, as it is built now.
running() { # PIDFILE PROGRAM
    local pid
    pid=$(cat "$1" 2>/dev/null) && [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "${2:0:15}" ] ||
        return 1
    # If the program was built anew since then, the old one is stopped so that the new one starts; clients reconnect.
    # The age of the file decides, because a confined process lets nobody look into it.
    if [ "bin/$2" -nt "$1" ]; then
        kill "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
        return 1
    fi
}

# Starts a program in a session of its own, and waits until it says on standard output that it is ready.
start() { # NAME READY PROGRAM ARGUMENTS...
    local name=$1 ready=$2
    shift 2
    : > "var/$name.out"
    setsid "$@" --log-file "var/log/$name.log" > "var/$name.out" 2> "var/$name.err" < /dev/null 9>&- &
    local pid=$!
    for _ in $(seq 600); do
        if grep -q "$ready" "var/$name.out"; then
            echo "$pid" > "var/$name.pid"
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "error: $(basename "$1") did not start" >&2
    cat "var/$name.err" >&2
    exit 2
}

running var/ttp.pid parlour-ttp || start ttp 'serving on' bin/parlour-ttp serve --keys keys
running var/server.pid parlour-server ||
    start server 'listening on' bin/parlour-server run --listen "$LISTEN" --keys keys/server \
        --ttp keys/ttp/ttp.sock --data var/server
