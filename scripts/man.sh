#!/usr/bin/env bash
# Manual pages and shell completions, from the programs themselves.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p target/man
for program in parlour parlour-server parlour-ttp; do
    "bin/$program" manual > "target/man/$program.1"
    for shell in bash zsh fish; do
        "bin/$program" completions "$shell" > "target/man/$program.$shell"
    done
done
echo 'written to target/man'
