#!/usr/bin/env bash
# Runs the fuzz targets, each for SECONDS_EACH=60 or for RUNS executions, and prints a table of what they did.
# ONLY='line json' chooses some. What they find on the way is kept in fuzz/corpus and used the next time, so a
# long run can be done in several goes; KEEP=1 puts the smallest of it beside the seeds that are committed.
# SANITIZER=address also looks for memory errors, which only the code of dependencies can have, and is slower. Needs
# cargo-fuzz.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v cargo-fuzz > /dev/null; then
    echo 'error: cargo-fuzz is missing' >&2
    echo 'hint: cargo install cargo-fuzz --locked' >&2
    exit 2
fi
# cargo-fuzz uses features of a nightly compiler; this makes the stable one accept them.
export RUSTC_BOOTSTRAP=1
sanitizer=${SANITIZER:-none}
targets=${ONLY:-$(cargo fuzz list --fuzz-dir fuzz)}
[ -n "$targets" ] || { echo 'error: there are no fuzz targets' >&2; exit 1; }
if [ -n "${RUNS:-}" ]; then
    bound=(-runs="$RUNS")
else
    bound=(-max_total_time="${SECONDS_EACH:-60}")
fi
cargo fuzz build --fuzz-dir fuzz --sanitizer "$sanitizer" 2> fuzz/build.log || { cat fuzz/build.log >&2; exit 1; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
statistic() { sed -n "s/^stat::$1: *//p" "$log"; }
echo '| target | executions | a second | seconds | code reached | inputs | memory (MB) |'
echo '| --- | ---: | ---: | ---: | ---: | ---: | ---: |'
for target in $targets; do
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus"
    # The time of one execution is that of the wall: a busy machine needs patience.
    options=()
    case $target in
        # Its cases are short (see there), and how often a branch was taken tells nothing about it: three times faster.
        line) options=(-max_len=64 -use_counters=0) ;;
    esac
    begun=$(date +%s)
    if ! cargo fuzz run --fuzz-dir fuzz --sanitizer "$sanitizer" "$target" "$corpus" "fuzz/seeds/$target" -- \
        "${bound[@]}" "${options[@]}" -rss_limit_mb=512 -timeout=60 -print_final_stats=1 > "$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "error: $target found something; the input is under fuzz/artifacts/$target" >&2
        echo "hint: put it into fuzz/seeds/$target under a name that says what it was, and cargo test has it read" >&2
        exit 1
    fi
    reached=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    echo "| $target | $(statistic number_of_executed_units) | $(statistic average_exec_per_sec) |" \
        "$(($(date +%s) - begun)) | $reached | $(find "$corpus" -type f | wc -l) | $(statistic peak_rss_mb) |"
    if [ -n "${KEEP:-}" ]; then
        cargo fuzz cmin --fuzz-dir fuzz --sanitizer "$sanitizer" "$target" "$corpus" > "$log" 2>&1 || { cat "$log" >&2; exit 1; }
        scripts/seeds.py keep "$target"
    fi
done
