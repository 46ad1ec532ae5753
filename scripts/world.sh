# Sourced by scripts that play in a world of their own: a TTP and a server in a temporary folder, which is
# gone at the end. Sets `root`, `folder` and `address`; `pids` are ended with the script.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=$(mktemp -d)
pids=()

cleanup() {
    exec 3>&- 4>&- 2>/dev/null || true
    if declare -F leave > /dev/null; then leave; fi
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT
cd "$folder"

# Waits until a file holds a text.
wait_for() { # FILE TEXT
    for _ in $(seq 1200); do
        grep -qF -- "$2" "$1" 2>/dev/null && return
        sleep 0.05
    done
    echo "error: '$2' did not come" >&2
    cat "$1" "$folder"/*.log >&2 || true
    exit 1
}

# A plain client of somebody who has keys of their own, between NAME.in and NAME.out.
client() { # NAME
    "$root/bin/parlour" "$address" --plain --keys "$1" --ca keys/ttp/ca.crt < "$1.in" > "$1.out" 2> "$1.log"
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
address=$(sed -n 's/^listening on 127.0.0.1:/localhost:/p' server.out)
