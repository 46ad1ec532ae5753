#!/usr/bin/env bash
# Builds the programs as they are handed out, with the list of their dependencies inside (cargo-auditable), into
# OUT with their SHA-256 sums. They contain no path of this machine, so that others can build the same bytes.
# PROFILE (ship), PACKAGES (all three).
set -euo pipefail
cd "$(dirname "$0")/.."
source=$(realpath "${1:-.}")
build=$(realpath -m "${2:-target/handed-out}")
out=$(realpath -m "${3:-dist}")
: "${PROFILE:=ship}" "${PACKAGES:=parlour-client parlour-server parlour-ttp}"
version=0.7.7
if ! cargo install --list | grep -qF "cargo-auditable v$version"; then
    cargo install cargo-auditable --locked --version "$version" --quiet
fi

# The names that paths get in the programs: of the source, the build, the dependencies, the compiler's library.
cargo_home=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
rust=$(rustc --print sysroot)/lib/rustlib/src/rust
called=("$source=/parlour" "$build=/build" "$cargo_home=/cargo" "$rust=/rustc/$(rustc -vV | sed -n 's/^commit-hash: //p')")
export RUSTFLAGS='' CFLAGS=''
for each in "${called[@]}"; do
    RUSTFLAGS+="--remap-path-prefix=$each "
    CFLAGS+="-ffile-prefix-map=$each "
done
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$source" log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$build

cd "$source"
packages=()
for package in $PACKAGES; do packages+=(--package "$package"); done
cargo auditable build --quiet --locked --profile "$PROFILE" --bins "${packages[@]}"
mkdir -p "$out"
cd "$build/$PROFILE"
for program in parlour parlour-server parlour-ttp; do
    if [ "$program" = parlour ]; then package=parlour-client; else package=$program; fi
    if [[ " $PACKAGES " == *" $package "* ]]; then install "$program" "$out/"; fi
done
cd "$out"
sha256sum parlour* | tee SHA256SUMS
