#!/usr/bin/env bash
# Makes docs/parlour.svg: the real client in a real terminal (tmux), on a server of its own, while two
# others talk to it. Needs tmux and Python 3.
set -euo pipefail
session=parlour-picture-$$
leave() { tmux -L "$session" kill-server 2>/dev/null || true; }
. "$(dirname "$0")/world.sh"

screen_shows() { # TEXT
    for _ in $(seq 1200); do
        tmux -L "$session" capture-pane -p | grep -qF -- "$1" && return
        sleep 0.05
    done
    echo "error: the screen does not show '$1'" >&2
    tmux -L "$session" capture-pane -p >&2
    exit 1
}

mkfifo erik.in anna.in
client erik & pids+=($!)
client anna & pids+=($!)
exec 3> erik.in 4> anna.in
echo '/register erik' >&3
echo '/register anna' >&4
wait_for erik.out 'Authentication Succeeded'
wait_for anna.out 'Authentication Succeeded'
echo 'morning! the boat is back in the water' >&3
wait_for anna.out 'the boat is back'
echo 'finally! who comes along on Saturday?' >&4
wait_for erik.out 'who comes along'

tmux -L "$session" -f /dev/null new-session -d -x 96 -y 18 \
    "TERM=xterm-256color exec '$root/bin/parlour' $address --keys sam --ca keys/ttp/ca.crt"
screen_shows 'guest'
tmux -L "$session" send-keys '/register sam' Enter
screen_shows 'who comes along'
tmux -L "$session" send-keys 'me! and I bring the big thermos' Enter
wait_for erik.out 'the big thermos'
echo '@sam the key is under the third stone, do not tell the others' >&3
wait_for erik.out 'third stone'
tmux -L "$session" send-keys '@erik got it. what is the alarm code again?' Enter
wait_for erik.out 'alarm code'
echo '@sam 4711, and I change it on Sunday' >&3
wait_for erik.out '4711'
echo '@sam can you pick me up at seven?' >&4
wait_for anna.out 'pick me up'
echo 'I have room for two more in the car' >&4
wait_for erik.out 'room for two more'
echo '@sam and delete nothing, I want to find this again in ten years' >&3
screen_shows 'in ten years'
tmux -L "$session" send-keys 'thanks! see you on Sat'
screen_shows 'see you on Sat'
tmux -L "$session" capture-pane -e -p > screen.txt
python3 "$root/scripts/picture.py" < screen.txt > "$root/docs/parlour.svg"
echo 'written: docs/parlour.svg'
