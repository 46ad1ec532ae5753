#!/usr/bin/env python3
"""Open the messages that a server keeps with jwcrypto, which knows nothing of Parlour.

open_message.py DATABASE ROOT ACCOUNT-KEY...

Each sealed message in chat.db must open with each account key (PKCS#8 in PEM); its signature must
hold under the certificate in it, and that must come from the root. Prints the claims, one JSON
object a line.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sqlite3
import sys

from cryptography import x509
from jwcrypto import jwe, jwk, jws


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def opened(envelope, key):
    token = jwe.JWE(algs=["RSA-OAEP-256", "A256GCM"])
    token.deserialize(json.dumps(envelope))
    token.decrypt(key)
    return token.payload.decode()


def claims_of(signed, root, commitment):
    token = jws.JWS()
    token.deserialize(signed)
    header = json.loads(unb64u(signed.split(".")[0]))
    (leaf,) = header["x5c"]
    certificate = x509.load_der_x509_certificate(base64.b64decode(leaf))
    certificate.verify_directly_issued_by(root)
    token.verify(jwk.JWK.from_pyca(certificate.public_key()), alg="ES256")
    claims = json.loads(token.payload)
    (name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert name.value == claims["from"], "signed by somebody else"
    signing_input = signed.rsplit(".", 1)[0].encode()
    tag = hmac.new(unb64u(claims["fk"]), signing_input, hashlib.sha256).digest()
    assert b64u(tag) == commitment, "the commitment does not fit"
    return claims


def main(database, root, *keys):
    root = x509.load_pem_x509_certificate(pathlib.Path(root).read_bytes())
    keys = [jwk.JWK.from_pem(pathlib.Path(key).read_bytes()) for key in keys]
    rows = sqlite3.connect(database).execute(
        "SELECT sealed, key1, key2 FROM messages WHERE sealed IS NOT NULL ORDER BY rowid"
    )
    for sealed, key1, key2 in rows:
        envelope = json.loads(sealed) | {"recipients": [json.loads(key1), json.loads(key2)]}
        header = json.loads(unb64u(envelope["protected"]))
        (signed,) = {opened(envelope, key) for key in keys}
        print(json.dumps(claims_of(signed, root, header["cmt"])))


if __name__ == "__main__":
    main(*sys.argv[1:])
