#!/usr/bin/env bash
# Lists the components of each program, as CycloneDX in target/sbom/PROGRAM.cdx.json. The same commit gives the
# same bytes: the time is the commit's, and no path of this machine is named.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
version=0.5.9
if ! cargo cyclonedx --version 2> /dev/null | grep -qF " $version"; then
    cargo install cargo-cyclonedx --locked --version "$version" --quiet
fi
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# The tool writes beside each manifest, so it gets a copy of the commit.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git archive HEAD | tar x -C "$folder"
cd "$folder"
cargo cyclonedx --quiet --format json --spec-version 1.5 --describe binaries --all --target x86_64-unknown-linux-gnu
if ! git -C "$root" diff --quiet HEAD -- Cargo.lock '*Cargo.toml'; then
    echo 'note: uncommitted changes of the manifests are not included' >&2
fi
if [ "$(sha256sum < Cargo.lock)" != "$(git -C "$root" show HEAD:Cargo.lock | sha256sum)" ]; then
    echo 'error: Cargo.lock does not fit the manifests' >&2
    exit 1
fi
mkdir -p "$root/target/sbom"
for program in client/parlour server/parlour-server ttp/parlour-ttp; do
    out=$root/target/sbom/${program#*/}.cdx.json
    sed "s|path+file://$folder/|path+file:///parlour/|g" "${program}_bin.cdx.json" > "$out"
    printf '%-42s %3d components\n' "${out#"$root/"}" "$(grep -c '"purl"' "$out")"
done
