#!/usr/bin/env bash
# Two outsiders look at the TLS of a running server: testssl.sh and sslyze. Fails on anything that they put
# below their best for TLS 1.3 alone; scripts/tls_check.py judges, and lists every exception with its reason.
# Their reports stay in target/tls-check/.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! command -v testssl > /dev/null; then
    apt-get update -qq || true
    if ! apt-get install -y -qq --no-install-recommends testssl.sh > /dev/null; then
        echo 'error: testssl.sh is missing and could not be installed' >&2
        echo 'hint: apt-get install testssl.sh' >&2
        exit 2
    fi
fi
venv=$PWD/target/tls-venv
if ! [ -x "$venv/bin/pip" ]; then
    python3 -m venv "$venv"
fi
"$venv/bin/pip" install --quiet --disable-pip-version-check sslyze==6.3.1
out=$PWD/target/tls-check
rm -rf "$out"
mkdir -p "$out"

# A TTP and a server of its own; both tools are given its root, as our clients are.
. scripts/world.sh
target=127.0.0.1:${address##*:}
version=$(testssl --version 2>&1 | grep -oE 'testssl(\.sh)? +[0-9.]+[0-9]' | head -n 1 | tr -s ' ' || true)
echo "$version and sslyze 6.3.1 ask $target; this takes a minute"
# Both exit with other codes than 0 when they find something. Their findings are judged below.
"$venv/bin/sslyze" --mozilla_config=modern --certinfo_ca_file keys/ttp/ca.crt --json_out="$out/sslyze.json" \
    --certinfo --sslv2 --sslv3 --tlsv1 --tlsv1_1 --tlsv1_2 --tlsv1_3 --compression --early_data --openssl_ccs \
    --fallback --heartbleed --robot --reneg --resum --elliptic_curves --ems \
    "$target" > "$out/sslyze.txt" 2>&1 || true
testssl --quiet --warnings off --color 0 --nodns none --add-ca keys/ttp/ca.crt --jsonfile "$out/testssl.json" \
    "$target" > "$out/testssl.txt" 2>&1 < /dev/null || true
kill -0 "${pids[1]}" || { echo 'error: the server did not survive this' >&2; exit 1; }
python3 "$root/scripts/tls_check.py" "$out"
