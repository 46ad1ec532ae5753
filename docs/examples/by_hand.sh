#!/usr/bin/env bash
# Register a name and log in by hand, with OpenSSL 3, xxd and nothing of Parlour (docs/protocol.md, sections 8 and 9).
#
#   by_hand.sh HOST PORT NAME
#
# Run it in an empty folder that holds ca.crt, the server's root certificate. It leaves the user's keys and
# certificates there.
set -euo pipefail
umask 077
HOST=$1 PORT=$2 NAME=$3

openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out device.key
openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out seal.key
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out account.key
openssl req -new -sha256 -key device.key  -subj "/CN=$NAME" -outform DER -out device.csr
openssl req -new -sha256 -key account.key -subj "/CN=$NAME" -outform DER -out account.csr

b64u() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
unb64u() {
    text=$(tr -- '-_' '+/')
    while [ $(( ${#text} % 4 )) -ne 0 ]; do text="$text="; done
    printf %s "$text" | openssl base64 -d -A
}
es256() {   # signs standard input; the ASN.1 signature becomes r and s of 32 bytes each
    openssl dgst -sha256 -sign device.key | openssl asn1parse -inform DER |
        sed -n 's/.*INTEGER *://p' | while read -r n; do printf '%64s' "$n" | tr ' ' 0; done |
        xxd -r -p | b64u
}

openssl pkey -in device.key -pubout -outform DER -out device.spki   # 91 bytes; the last 64 are x and y
X=$(tail -c 64 device.spki | head -c 32 | b64u)
Y=$(tail -c 32 device.spki | b64u)
SEAL=$(openssl pkey -in seal.key -pubout -outform DER | b64u)
NONCE=$(openssl rand 32 | b64u)
HEADER='{"alg":"ES256","typ":"parlour-enrol+jwt","jwk":{"kty":"EC","crv":"P-256","x":"'$X'","y":"'$Y'"}}'
PAYLOAD='{"v":1,"name":"'$NAME'","nonce":"'$NONCE'","device_request":"'$(b64u < device.csr)'",'
PAYLOAD=$PAYLOAD'"account_request":"'$(b64u < account.csr)'","seal_key":"'$SEAL'"}'
INPUT=$(printf %s "$HEADER" | b64u).$(printf %s "$PAYLOAD" | b64u)
REQUEST=$INPUT.$(printf %s "$INPUT" | es256)

printf '/register %s %s\n/exit\n' "$NAME" "$REQUEST" |
    openssl s_client -quiet -verify_return_error -CAfile ca.crt -verify_hostname "$HOST" \
        -connect "$HOST:$PORT" -servername "$HOST" > answer
read -r _ _ DEVICE ACCOUNT < answer           # Registration Succeeded DEVICE ACCOUNT
printf %s "$DEVICE"  | unb64u | openssl x509 -inform DER -out device.crt
printf %s "$ACCOUNT" | unb64u | openssl x509 -inform DER -out account.crt
openssl verify -CAfile ca.crt -purpose sslclient device.crt
openssl verify -CAfile ca.crt account.crt
openssl x509 -in device.crt -noout -subject -dates -ext subjectAltName

# Logging in. -keymatexport prints the exporter value; -ign_eof keeps s_client from ending early.
mkfifo in
openssl s_client -ign_eof -verify_return_error -CAfile ca.crt -verify_hostname "$HOST" \
    -connect "$HOST:$PORT" -servername "$HOST" -cert device.crt -key device.key \
    -keymatexport EXPORTER-Channel-Binding -keymatexportlen 32 < in > out 2>&1 &
exec 3> in
until grep -qs 'Keying material: ' out; do sleep 0.1; done
EXPORTER=$(sed -n 's/ *Keying material: //p' out)
SIGNATURE=$({ printf 'parlour login v1\0%s\0' "$NAME"; printf %s "$EXPORTER" | xxd -r -p; } |
    openssl dgst -sha256 -sign device.key | openssl base64 -A)
echo "/login $NAME $SIGNATURE" >&3
echo '/users' >&3
echo 'hello from openssl' >&3
sleep 1
echo '/exit' >&3
exec 3>&-
wait
rm in
cat out
