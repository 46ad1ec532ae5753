#!/usr/bin/env python3
"""Check the test vectors with jwcrypto and cryptography, which know nothing of Parlour.

Without arguments: open every sealed message with each of the two account keys, verify the
signature in it, the commitment and the hash, verify the signature at login and the requests, and
see that what must be refused for its form or its seal is.

With --seal FOLDER: seal messages with jwcrypto under the keys of the vectors, good ones and bad
ones, and write them there as further vectors, for the Rust tests to open.
"""

import argparse
import base64
import functools
import hashlib
import hmac
import json
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwcrypto import jwe, jwk, jws

HERE = pathlib.Path(__file__).parent
MEMBERS = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWS"}


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private_key(entry):
    """The private key of a vector, from its PEM; the JWK beside it must be the same key."""
    key = serialization.load_pem_private_key(entry["pem"].encode(), password=None)
    if "jwk" in entry:
        from_pem = jwk.JWK.from_pem(entry["pem"].encode())
        # thumbprint() and export() both normalise, so the comparison is of numbers.
        expected = jwk.JWK(**entry["jwk"])
        assert from_pem.thumbprint() == expected.thumbprint()
        assert from_pem.export(as_dict=True)["d"] == entry["jwk"]["d"]
    return key


def account_key(entry):
    key = checked_account_key(json.dumps(entry))
    assert key.thumbprint() == entry["kid"]
    return key


@functools.cache  # reading an RSA key takes a tenth of a second and more
def checked_account_key(text):
    entry = json.loads(text)
    key = private_key(entry)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072 and key.public_key().public_numbers().e == 65537
    return jwk.JWK.from_pem(entry["pem"].encode())


def commitment(claims, signed):
    signing_input = signed.rsplit(".", 1)[0].encode()
    return b64u(hmac.new(unb64u(claims["fk"]), signing_input, hashlib.sha256).digest())


def decrypt(envelope, account):
    token = jwe.JWE(algs=["RSA-OAEP-256", "A256GCM"])
    token.deserialize(envelope)
    token.decrypt(account)
    return token.payload.decode()


def check_message(case):
    envelope = json.loads(case["jwe"])
    header = json.loads(unb64u(envelope["protected"]))
    assert header == MEMBERS | {"id": case["claims"]["id"], "cmt": case["cmt"]}
    kids = [recipient["header"]["kid"] for recipient in envelope["recipients"]]
    assert kids == [case[person]["account"]["kid"] for person in ("recipient", "sender")]

    for person in ("recipient", "sender"):
        signed = decrypt(case["jwe"], account_key(case[person]["account"]))
        assert signed == case["jws"]

    certificate = x509.load_der_x509_certificate(base64.b64decode(case["sender"]["certificate"]))
    certificate.verify_directly_issued_by(
        x509.load_der_x509_certificate(base64.b64decode(case["sender"]["root"]))
    )
    device = private_key(case["sender"]["device"]).public_key()
    assert certificate.public_key() == device

    token = jws.JWS()
    token.deserialize(case["jws"])
    token.verify(jwk.JWK.from_pyca(certificate.public_key()), alg="ES256")
    assert token.jose_header == {"alg": "ES256", "x5c": [case["sender"]["certificate"]]}
    claims = json.loads(token.payload)
    assert claims == case["claims"]
    assert commitment(claims, case["jws"]) == case["cmt"]
    assert b64u(hashlib.sha256(case["jws"].encode()).digest()) == case["jws_hash"]


def check_refused(case):
    """Altered envelopes must not decrypt here either; order and members are our own, stricter rules."""
    if case["error"] != "Altered":
        return
    try:
        decrypt(case["jwe"], account_key(case["recipient"]["account"]))
    except jwe.InvalidJWEData:
        return
    raise AssertionError("it opened")


def check_login(case):
    transcript = bytes.fromhex(case["transcript_hex"])
    exporter = bytes.fromhex(case["exporter_hex"])
    assert transcript == b"parlour login v1\0" + case["user"].encode() + b"\0" + exporter
    device = private_key(case["device"]).public_key()
    device.verify(base64.b64decode(case["signature_b64"]), transcript, ec.ECDSA(hashes.SHA256()))


def spki(key):
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def check_request(case):
    """An enrolment or a renewal."""
    kind = {"enrolment": "parlour-enrol+jwt", "renewal": "parlour-renew+jwt"}[case["kind"]]
    expected = case["expected"]
    device = private_key(case["device"]).public_key()
    token = jws.JWS()
    token.deserialize(case["compact"])
    token.verify(jwk.JWK.from_pyca(device), alg="ES256")
    public = {name: value for name, value in case["device"]["jwk"].items() if name != "d"}
    assert token.jose_header == {"alg": "ES256", "typ": kind, "jwk": public}

    payload = json.loads(token.payload)
    assert payload["v"] == 1
    assert (payload["name"], payload["nonce"]) == (expected["name"], expected["nonce"])
    wanted = {"device_request": device}
    if case["kind"] == "enrolment":
        wanted["account_request"] = private_key(case["account"]).public_key()
        seal = private_key(case["seal"]).public_key()
        assert unb64u(payload["seal_key"]) == spki(seal) == base64.b64decode(expected["seal_spki"])
        account_spki = base64.b64decode(expected["account_spki"])
        assert spki(wanted["account_request"]) == account_spki
    else:
        assert payload["device"] == expected["device"]
    assert spki(device) == base64.b64decode(expected["device_spki"])
    for member, key in wanted.items():
        request = x509.load_der_x509_csr(unb64u(payload[member]))
        assert request.is_signature_valid and request.public_key() == key
        assert len(request.extensions) == 0


def check_revocation(case):
    """A revocation's statement, signed by the log's key, whose certificate the root issued."""
    root = x509.load_der_x509_certificate(base64.b64decode(case["root"]))
    log = x509.load_der_x509_certificate(base64.b64decode(case["log_certificate"]))
    log.verify_directly_issued_by(root)
    assert isinstance(log.public_key(), ed25519.Ed25519PublicKey)
    token = jws.JWS()
    token.allowed_algs = ["EdDSA"]
    token.deserialize(case["jws"])
    token.verify(jwk.JWK.from_pyca(log.public_key()), alg="EdDSA")
    assert token.jose_header == {
        "alg": "EdDSA",
        "number": case["number"],
        "typ": "parlour-revocation+jws",
        "x5c": [case["log_certificate"]],
    }
    assert token.payload == case["leaf"].encode()
    leaf = json.loads(token.payload)
    assert (leaf["kind"], leaf["name"], leaf["device"]) == (
        "revocation",
        case["name"],
        case["device"],
    )


CHECKS = {
    "message": check_message,
    "refused": check_refused,
    "login": check_login,
    "enrolment": check_request,
    "renewal": check_request,
    "revocation": check_revocation,
    "vault": lambda case: None,  # not JOSE; the Rust test reads it
}


def check_all():
    for path in sorted(HERE.glob("*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        CHECKS[case["kind"]](case)
        print("fits:", path.name)


def sign(case, claims, header):
    token = jws.JWS(json.dumps(claims, ensure_ascii=False).encode())
    device = jwk.JWK.from_pem(case["sender"]["device"]["pem"].encode())
    token.add_signature(device, alg="ES256", protected=json.dumps(header))
    return token.serialize(compact=True)


def seal(case, signed, header):
    token = jwe.JWE(
        signed.encode(),
        protected=json.dumps(header),
        algs=["RSA-OAEP-256", "A256GCM"],
    )
    for person in ("recipient", "sender"):
        account = account_key(case[person]["account"])
        token.add_recipient(account, header=json.dumps({"kid": account.thumbprint()}))
    return token.serialize(compact=False)


def sealed_cases(base):
    """Messages sealed by jwcrypto; the last entries of each tuple are what a bad one differs in."""
    claims = {
        "from": base["sender"]["name"],
        "to": base["recipient"]["name"],
        "id": "0197741c-9a80-7000-8000-0000000000ff",
        "time": 1750000000123,
        "text": "sealed in Python: hej \u00e5 \u2028 \U0001f600 \"\\/\nsecond line",
        "chain": b64u(os.urandom(16)),
        "n": 1,
        "prev": b64u(os.urandom(32)),
        "fk": b64u(os.urandom(32)),
    }
    own = {"alg": "ES256", "x5c": [base["sender"]["certificate"]]}

    def message(name, error=None, signed_header=own, other_claims=None, **other_members):
        body = claims | (other_claims or {})
        signed = sign(base, body, signed_header)
        # Later than `sign`, so that what a case changes in the header goes over the right value.
        outer = MEMBERS | {"id": claims["id"], "cmt": commitment(body, signed)} | other_members
        case = {"recipient": base["recipient"], "sender": base["sender"]}
        case |= {"jwe": seal(base, signed, outer), "jws": signed}
        if error:
            return name, case | {"kind": "refused", "as": "recipient", "error": error}
        case |= {"claims": body, "cmt": outer["cmt"]}
        case["jws_hash"] = b64u(hashlib.sha256(signed.encode()).digest())
        return name, case | {"kind": "message"}

    yield message("good")
    yield message("good-unknown-claim", other_claims={"later": {"a": [1]}})
    yield message("bad-commitment", "CommitmentMismatch", cmt=b64u(bytes(32)))
    yield message("bad-id", "IdMismatch", other_claims={"id": "01a1fdab-1471-7725-b0bb-a37fc1d39b82"})
    yield message("bad-id-form", "Malformed", other_claims={"id": "another"})
    yield message("bad-zip", "Malformed", zip="DEF")
    yield message("bad-extra-header", "Malformed", typ="JOSE")
    yield message("bad-signed-header", "Malformed", signed_header=own | {"kid": "x"})
    yield message("good-void", other_claims={"n": 4, "void": [2, 3]})
    yield message("good-void-all", other_claims={"n": 2, "void": [0, 1], "prev": ""})
    yield message("bad-void-gap", "Malformed", other_claims={"n": 4, "void": [1, 3]})
    yield message("bad-void-empty", "Malformed", other_claims={"void": []})
    yield message("bad-chain", "Malformed", other_claims={"n": 0})
    yield message("bad-fk", "Malformed", other_claims={"fk": b64u(os.urandom(33))})


def seal_all(folder):
    for path in sorted(HERE.glob("message-*.json")):
        base = json.loads(path.read_text(encoding="utf-8"))
        for name, case in sealed_cases(base):
            target = folder / f"{path.stem}-{name}.json"
            target.write_text(json.dumps(case), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seal", metavar="FOLDER", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.seal:
        seal_all(arguments.seal)
    else:
        check_all()


if __name__ == "__main__":
    main()
