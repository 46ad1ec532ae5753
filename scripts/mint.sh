#!/usr/bin/env bash
# Mints the root and the server's certificate if they are missing, and the certificate again when it has under
# 30 days left or does not name HOST. A lock keeps two runs of this script from racing.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p keys var
exec 9> var/mint.lock
flock 9

if [ ! -e keys/ttp/ca.crt ]; then
    bin/parlour-ttp init --keys keys >&2
fi
before=$(sha256sum keys/server/server.crt 2>/dev/null || true)
bin/parlour-ttp server-cert --if-needed --keys keys --log-level warn \
    --host localhost --host 127.0.0.1 --host ::1 ${HOST:+--host "$HOST"} > /dev/null
after=$(sha256sum keys/server/server.crt)
# A running server takes the new certificate at once.
if [ "$before" != "$after" ] && [ -s var/server.pid ]; then
    kill -HUP "$(cat var/server.pid)" 2>/dev/null || true
fi
