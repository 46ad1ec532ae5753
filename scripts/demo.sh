#!/usr/bin/env bash
# Two users on a server of their own chat in public and in private, without a terminal. Everything is
# real: a TTP, a server, two clients. It lives in a temporary folder and is gone at the end.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
pids=()
cleanup() {
    exec 3>&- 4>&- 2>/dev/null || true
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"

wait_for() { # FILE TEXT
    for _ in $(seq 200); do
        grep -qF -- "$2" "$1" 2>/dev/null && return
        sleep 0.05
    done
    echo "error: '$2' did not come" >&2
    cat "$1" "$folder"/*.log >&2 || true
    exit 1
}

"$root/bin/parlour-ttp" init --keys keys > /dev/null
"$root/bin/parlour-ttp" server-cert --keys keys --log-level warn --host localhost --host 127.0.0.1 > /dev/null
"$root/bin/parlour-ttp" serve --keys keys > ttp.out 2> ttp.log &
pids+=($!)
wait_for ttp.out 'serving on'
"$root/bin/parlour-server" run --listen 127.0.0.1:0 --keys keys/server --ttp keys/ttp/ttp.sock --data data \
    > server.out 2> server.log &
pids+=($!)
wait_for server.out 'listening on'
address=$(sed -n 's/^listening on //p' server.out)

client() { # NAME
    "$root/bin/parlour" "$address" --plain --keys "$1" --ca keys/ttp/ca.crt < "$1.in" > "$1.out" 2> "$1.log"
}
mkfifo sam.in erik.in
client sam & sam=$!
client erik & erik=$!
exec 3> sam.in 4> erik.in

# Types a line as one of the two, and waits until somebody's screen shows what it does.
type_line() { # WHO LINE SCREEN TEXT
    echo "$1> $2"
    if [ "$1" = sam ]; then echo "$2" >&3; else echo "$2" >&4; fi
    wait_for "$3.out" "$4"
}
type_line sam '/register sam' sam 'Authentication Succeeded'
type_line erik '/register erik' erik 'Authentication Succeeded'
type_line sam '/users' sam 'erik sam'
type_line sam 'hello everyone, I am here' erik 'sam: hello everyone, I am here'
type_line erik 'welcome, sam' sam 'erik: welcome, sam'
type_line erik '@sam hey how are you?' sam 'erik: @sam hey how are you?'
type_line sam '@erik fine, and nobody else can read this' erik 'sam: @erik fine, and nobody else can read this'
type_line sam '/exit' sam 'hello everyone'
type_line erik '/exit' erik 'welcome, sam'
exec 3>&- 4>&-
wait "$sam" "$erik"

for who in sam erik; do
    printf '\n--- what %s saw ---\n' "$who"
    cat "$who.out"
done
printf '\n--- what the server keeps of the private messages ---\n'
if grep -aqF 'nobody else can read this' data/chat.db*; then
    echo 'error: a private message is readable on the server' >&2
    exit 1
fi
echo 'nothing that it could read: the texts are not in its database'
