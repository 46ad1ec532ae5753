#!/usr/bin/env bash
# Two users on a server of their own chat in public and in private, without a terminal. Everything is
# real: a TTP, a server, two clients. It lives in a temporary folder and is gone at the end.
set -euo pipefail
. "$(dirname "$0")/world.sh"

mkfifo sam.in erik.in
client sam & sam=$!
client erik & erik=$!
exec 3> sam.in 4> erik.in

# Types a line as one of the two, and waits until somebody's screen shows its effect.
type_line() { # WHO LINE SCREEN TEXT
    echo "$1> $2"
    if [ "$1" = sam ]; then echo "$2" >&3; else echo "$2" >&4; fi
    wait_for "$3.out" "$4"
}
type_line sam '/register sam' sam 'Authentication Succeeded'
type_line erik '/register erik' erik 'Authentication Succeeded'
type_line sam '/users' sam 'erik sam'
type_line sam 'hello everyone, I am here' erik 'sam: hello everyone, I am here'
type_line erik 'welcome, sam' sam 'erik: welcome, sam'
type_line erik '@sam hey how are you?' sam 'erik: @sam hey how are you?'
type_line sam '@erik fine, and nobody else can read this' erik 'sam: @erik fine, and nobody else can read this'
type_line sam '/exit' sam 'hello everyone'
type_line erik '/exit' erik 'welcome, sam'
exec 3>&- 4>&-
wait "$sam" "$erik"

for who in sam erik; do
    printf '\n--- what %s saw ---\n' "$who"
    cat "$who.out"
done
printf '\n--- the private messages on the server ---\n'
if grep -aqF 'nobody else can read this' data/chat.db*; then
    echo 'error: a private message is readable on the server' >&2
    exit 1
fi
echo 'it cannot read them: the texts are not in its database'
