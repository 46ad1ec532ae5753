"""Seals and opens private messages (docs/private-messages.md), with the package `cryptography`.

The JWE that `open_sealed` takes was read from a line by an ordinary JSON parser, so members that occur twice in the JWE
itself must be refused there. Checks 10 to 15 of 10.6 are left to the caller."""

import base64, hashlib, hmac, json, os
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)

def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

def unb64u(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64u(data) != text:
        raise ValueError("not canonical base64url")
    return data

def strict(data, members):
    def pairs(items):
        if len(dict(items)) != len(items):
            raise ValueError("a member twice")
        return dict(items)
    value = json.loads(data, object_pairs_hook=pairs)
    if not isinstance(value, dict) or (members and set(value) != set(members)):
        raise ValueError("other members")
    return value

def kid(public_key):
    n = public_key.public_numbers().n.to_bytes(384, "big")
    return b64u(hashlib.sha256(f'{{"e":"AQAB","kty":"RSA","n":"{b64u(n)}"}}'.encode()).digest())

def compact(value):
    return b64u(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())

def sign_jws(device_key, header, payload):
    signing_input = compact(header) + "." + compact(payload)
    r, s = utils.decode_dss_signature(device_key.sign(signing_input.encode(), ec.ECDSA(hashes.SHA256())))
    return signing_input + "." + b64u(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

def seal(device_key, device_certificate_der, claims, recipient_public, own_public):
    fk = os.urandom(32)
    header = {"alg": "ES256", "x5c": [base64.b64encode(device_certificate_der).decode()]}
    jws = sign_jws(device_key, header, claims | {"fk": b64u(fk)})
    cmt = hmac.digest(fk, jws.rsplit(".", 1)[0].encode(), "sha256")
    protected = compact({"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWS", "id": claims["id"], "cmt": b64u(cmt)})
    cek, iv = os.urandom(32), os.urandom(12)
    sealed = AESGCM(cek).encrypt(iv, jws.encode(), protected.encode())
    def wrap(key):
        return {"header": {"kid": kid(key)}, "encrypted_key": b64u(key.encrypt(cek, OAEP))}
    jwe = {"protected": protected, "recipients": [wrap(recipient_public), wrap(own_public)],
           "iv": b64u(iv), "ciphertext": b64u(sealed[:-16]), "tag": b64u(sealed[-16:])}
    return jwe, b64u(hashlib.sha256(jws.encode()).digest())      # the second is the next message's prev

def open_sealed(jwe, account_key, i_am_the_sender):
    strict(json.dumps(jwe), ["protected", "recipients", "iv", "ciphertext", "tag"])
    if len(jwe["recipients"]) != 2:
        raise ValueError("not two recipients")
    header = strict(unb64u(jwe["protected"]), ["alg", "enc", "cty", "id", "cmt"])
    if (header["alg"], header["enc"], header["cty"]) != ("RSA-OAEP-256", "A256GCM", "JWS"):
        raise ValueError("another header")
    entry = jwe["recipients"][1 if i_am_the_sender else 0]
    if entry["header"] != {"kid": kid(account_key.public_key())}:
        raise ValueError("not sealed to this key")
    try:
        cek = account_key.decrypt(unb64u(entry["encrypted_key"]), OAEP)
    except ValueError:
        cek = os.urandom(32)                                     # and fail at the tag
    text = unb64u(jwe["ciphertext"]) + unb64u(jwe["tag"])
    jws = AESGCM(cek).decrypt(unb64u(jwe["iv"]), text, jwe["protected"].encode()).decode()
    head, payload, signature = jws.split(".")
    signed = strict(unb64u(head), ["alg", "x5c"])
    if signed["alg"] != "ES256" or len(signed["x5c"]) != 1:
        raise ValueError("another signed header")
    leaf = x509.load_der_x509_certificate(base64.b64decode(signed["x5c"][0], validate=True))
    raw = unb64u(signature)
    if len(raw) != 64:
        raise ValueError("not a signature")
    signing_input = f"{head}.{payload}".encode()
    leaf.public_key().verify(
        utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")),
        signing_input, ec.ECDSA(hashes.SHA256()))
    claims = strict(unb64u(payload), None)                       # unknown claims are allowed
    fk = unb64u(claims["fk"])
    if len(fk) != 32 or not hmac.compare_digest(hmac.digest(fk, signing_input, "sha256"), unb64u(header["cmt"])):
        raise ValueError("the commitment does not fit")
    if claims["id"] != header["id"]:
        raise ValueError("another id")
    return claims, leaf, b64u(hashlib.sha256(jws.encode()).digest())
