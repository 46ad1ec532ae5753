#!/usr/bin/env bash
# Everything that anyone may verify can also run in a browser: protocol, envelope and keylog build for wasm32. Where
# neither the target nor the source of the standard library is installed, only their dependencies are checked.
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
    exit
fi

# True if a compiler is new enough, and has the source of its standard library beside it.
can_build_std() { # RUSTC
    local least version
    least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    version=$("$1" --version 2> /dev/null | cut -d ' ' -f 2) || return 1
    [ "$(printf '%s\n' "$least" "$version" | sort -V | head -n 1)" = "$least" ] &&
        [ -e "$("$1" --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]
}

# Debian's packages rustc-web and rust-web-src are such a compiler.
for compiler in rustc /usr/bin/rustc; do
    if can_build_std "$compiler"; then
        # Only nightly compilers build their library, unless they are told that they are one.
        RUSTC=$compiler RUSTC_BOOTSTRAP=1 CARGO_PROFILE_DEV_DEBUG=false cargo check --quiet --locked \
            -Z build-std=std,panic_abort --target "$target" --target-dir target/wasm "${crates[@]}"
        echo "protocol, envelope and keylog compile for $target with $("$compiler" --version)"
        exit
    fi
done
echo "the dependencies of protocol, envelope and keylog fit $target; it is not installed, so the build was skipped"
