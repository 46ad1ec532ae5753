#!/usr/bin/env bash
# The dependencies between our crates run one way. Above all, the server does not depend on the crate
# that can decrypt: that it cannot read private messages is a fact of the build.
set -euo pipefail
cd "$(dirname "$0")/.."
declare -A allowed=(
    [protocol]='' [envelope]='protocol' [crypto]='envelope protocol' [keylog]='envelope protocol' [sandbox]='' [upkeep]=''
    [server]='envelope keylog protocol sandbox upkeep' [client]='crypto envelope keylog protocol sandbox'
    [ttp]='crypto envelope keylog protocol sandbox upkeep'
)
for crate in "${!allowed[@]}"; do
    found=$(cargo tree --locked --package "parlour-$crate" --edges normal,build --prefix none |
        sed -n 's/^parlour-\([a-z]*\) .*/\1/p' | sort -u | sed "/^$crate\$/d" | tr '\n' ' ')
    if [ "${found% }" != "${allowed[$crate]}" ]; then
        echo "error: parlour-$crate depends on '${found% }', allowed is '${allowed[$crate]}'" >&2
        exit 1
    fi
done
echo 'dependencies run in the right direction'
