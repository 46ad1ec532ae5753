#!/usr/bin/env bash
# What anyone may verify also runs in a browser: protocol, envelope and keylog build for wasm32. Where that
# target is not installed, only their dependencies are checked.
set -euo pipefail
cd "$(dirname "$0")/.."
target=wasm32-unknown-unknown
crates=(--package parlour-protocol --package parlour-envelope --package parlour-keylog --no-default-features)
found=$(cargo tree --locked --target "$target" "${crates[@]}" --edges normal --prefix none --format '{p}' |
    sed -n 's/^\(aws-lc-rs\|aws-lc-sys\|getrandom\|rand\|ring\|tokio\) .*/\1/p' | sort -u | tr '\n' ' ')
if [ -n "$found" ]; then
    echo "error: protocol, envelope or keylog depend on $found for $target" >&2
    exit 1
fi
if [ -d "$(rustc --print target-libdir --target "$target")" ]; then
    cargo build --locked --target "$target" "${crates[@]}"
    echo "protocol, envelope and keylog build for $target"
else
    echo "the dependencies of protocol, envelope and keylog fit $target; it is not installed, so the build was skipped"
fi
