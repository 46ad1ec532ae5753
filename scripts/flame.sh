#!/usr/bin/env bash
# Draws a flame graph of the server in one scenario of the bench, as docs/flame-SCENARIO.svg.
# Needs perf (Debian: linux-perf) and inferno (cargo install inferno).
set -euo pipefail
cd "$(dirname "$0")/.."
scenario=${1:-direct_pingpong}
for program in perf inferno-collapse-perf inferno-flamegraph; do
    command -v "$program" > /dev/null || { echo "error: $program is not installed" >&2; exit 1; }
done
# Frame pointers, in our code and in C, so that every sample has its whole stack.
export RUSTFLAGS='-C force-frame-pointers=yes' CFLAGS='-fno-omit-frame-pointer'
target=target/flame
cargo build --locked --profile profiling --target-dir "$target" -p parlour-server -p parlour-bench
work=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2> /dev/null || true; rm -rf "$work"' EXIT
# Confined, the server lets no profiler of an ordinary user look into it.
PARLOUR_SANDBOX=off "$target/profiling/parlour-bench" --only "$scenario" --json "$work/latest.json" > "$work/out" 2>&1 &
bench=$!
started+=("$bench")
server=
until server=$(sed -n 's/^Ours runs as process //p' "$work/out" | head -1) && [ -n "$server" ]; do sleep 0.2; done
started+=("$server")
# Until all clients are connected and the first second, which is not measured, is over.
sleep 2
perf record --quiet --freq 1999 --call-graph fp --pid "$server" --output "$work/perf.data" -- sleep 4
kill "${started[@]}"
perf script --no-inline --input "$work/perf.data" 2> /dev/null | inferno-collapse-perf |
    inferno-flamegraph --title "parlour-server: $scenario" --minwidth 0.3 > "docs/flame-$scenario.svg"
echo "docs/flame-$scenario.svg"
