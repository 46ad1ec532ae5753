#!/usr/bin/env bash
# Logs in with OpenSSL and nothing of Parlour, and sends the lines on standard input.
#
#   login.sh HOST:PORT PROFILE NAME < lines
#
# PROFILE is a folder with device.key, device.crt and ca.crt, as the client makes it. The server's lines
# go to standard output. By hand:
#
#   openssl s_client -connect HOST:PORT -tls1_3 -nocommands \
#       -cert device.crt -key device.key -CAfile ca.crt -verify_return_error \
#       -keymatexport EXPORTER-Channel-Binding -keymatexportlen 32
#
# prints "Keying material:" and 64 hex digits, which belong to this connection alone (RFC 9266). The
# signature is over "parlour login v1", a zero byte, the name, a zero byte and those 32 bytes:
#
#   printf 'parlour login v1\0NAME\0%b' "$(sed 's/../\\x&/g' <<< HEX)" |
#       openssl dgst -sha256 -sign device.key | openssl base64 -A
#
# and `/login NAME SIGNATURE`, typed into the first program, logs in.
set -euo pipefail
address=$1 profile=$2 name=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkfifo "$work/in" "$work/out"
openssl s_client -connect "$address" -tls1_3 -nocommands \
    -cert "$profile/device.crt" -key "$profile/device.key" \
    -CAfile "$profile/ca.crt" -verify_return_error \
    -keymatexport EXPORTER-Channel-Binding -keymatexportlen 32 \
    < "$work/in" > "$work/out" 2> "$work/errors" &
exec 3> "$work/in" 4< "$work/out"

fail() {
    echo "error: $1" >&2
    cat "$work/errors" >&2
    exit 1
}

hex=
while IFS= read -r -t 60 line <&4; do
    if [[ $line =~ 'Keying material: '([0-9A-F]{64}) ]]; then
        hex=${BASH_REMATCH[1]}
        break
    fi
done
[ -n "$hex" ] || fail 'there is no keying material: the connection failed'
# The rest of what OpenSSL prints about the connection; the server says nothing by itself.
while IFS= read -r -t 60 line <&4; do
    [ "$line" != --- ] || break
done

signature=$({
    printf 'parlour login v1\0%s\0' "$name"
    printf '%b' "$(sed 's/../\\x&/g' <<< "$hex")"
} | openssl dgst -sha256 -sign "$profile/device.key" | openssl base64 -A)

# The server's lines are passed on as they come. It answers everything before it closes the connection at /exit.
# If it closes earlier, the remaining lines are not sent. The last line is OpenSSL's own.
trap '' PIPE
{
    echo "/login $name $signature"
    cat
    echo /exit
} <&0 >&3 2> /dev/null &
sed -u '${/^closed$/d}' <&4
exec 3>&-
wait
