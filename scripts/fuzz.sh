#!/usr/bin/env bash
# Runs each fuzz target for SECONDS (60). Its first inputs are made from the test vectors and the
# transcripts. Needs cargo-fuzz (cargo install cargo-fuzz --locked).
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v cargo-fuzz > /dev/null; then
    echo 'error: cargo-fuzz is missing' >&2
    echo 'hint: cargo install cargo-fuzz --locked' >&2
    exit 2
fi
# cargo-fuzz wants features of a nightly compiler; this makes the stable one take them.
export RUSTC_BOOTSTRAP=1
for target in line plain json server_line sealed request certificate; do
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus"
    cp tests/cli/*.txt "$corpus/"
    python3 - "$target" "$corpus" << 'PYTHON'
import base64, json, pathlib, sys

target, corpus = sys.argv[1], pathlib.Path(sys.argv[2])
for path in pathlib.Path("tests/vectors").glob("*.json"):
    case = json.loads(path.read_text())
    for name in ("jwe", "compact"):
        if name in case:
            value = case[name] if isinstance(case[name], str) else json.dumps(case[name], separators=(",", ":"))
            (corpus / f"{path.stem}-{name}").write_text(value)
    for person in ("sender", "recipient"):
        der = case.get(person, {}).get("certificate") if isinstance(case.get(person), dict) else None
        if der:
            (corpus / f"{path.stem}-{person}.der").write_bytes(base64.b64decode(der))
PYTHON
    echo "--- $target"
    log=$(mktemp)
    if cargo fuzz run --fuzz-dir fuzz "$target" -- \
        -max_total_time="${SECONDS_EACH:-60}" -print_final_stats=1 > "$log" 2>&1; then
        grep 'stat::number_of_executed_units' "$log"
    else
        tail -n 40 "$log" >&2
        rm -f "$log"
        exit 1
    fi
    rm -f "$log"
done
