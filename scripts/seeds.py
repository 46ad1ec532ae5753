#!/usr/bin/env python3
"""Writes the first seeds of each fuzz target into fuzz/seeds, from the test vectors, the transcripts, and the
examples in docs/protocol.md and docs/ttp-protocol.md. Seeds that a fuzzer found lie beside them and stay.

With `keep TARGET` it puts the smallest inputs of that target's corpus beside them instead."""

import base64
import hashlib
import io
import json
import pathlib
import re
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEEDS = ROOT / "fuzz/seeds"

KEPT = 40
KEPT_BYTES = 700

VECTORS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "tests/vectors").glob("*.json"))}


def seed(target: str, name: str, content: bytes | str) -> None:
    content = content.encode() if isinstance(content, str) else content
    path = SEEDS / target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def part(text: str) -> bytes:
    """One part of a compact JWS."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def transcripts() -> None:
    """Every line that somebody types or hears, and each transcript as a whole for the splitter."""
    for path in sorted((ROOT / "tests/cli").glob("*.txt")):
        seed("line", path.stem, b"\x37" + path.read_bytes()[:1_000])
        lines = [match[1] for match in re.finditer(r"^\w+[<>] (.*)$", path.read_text(), re.M)]
        lines = list(dict.fromkeys(lines))
        # As many as one input may have.
        for number, begin in enumerate(range(0, len(lines), 8)):
            seed("plain", f"{path.stem}-{number}", "\n".join(lines[begin : begin + 8]))


def examples() -> None:
    """The lines of the protocols' descriptions, one a seed."""
    text = "".join((ROOT / "docs" / name).read_text() for name in ("protocol.md", "ttp-protocol.md"))
    said = {"C": "json", "S": "server_line"}
    for side, line in dict.fromkeys(re.findall(r"^([CS]): (.*)$", text, re.M)):
        target = said[side] if line.startswith("{") else "plain"
        if target != "plain" or side == "C":
            words = re.findall(r'"(?:cmd|ok|event|code)":"(\w+)"', line) or re.findall(r"\w+", line)[:1]
            digest = hashlib.sha256(line.encode()).hexdigest()[:4]
            seed(target, f"doc-{words[-1] if words else 'line'}-{digest}", line)
    for line in dict.fromkeys(re.findall(r'^(?:[CS]: )?(\{"(?:op|issued|watching|revoked|error)".*\})$', text, re.M)):
        word = re.search(r'"(?:op":")?(\w+)"', line)[1]
        seed("ttp", f"doc-{word}-{hashlib.sha256(line.encode()).hexdigest()[:4]}", line)


def vectors() -> None:
    for stem, case in VECTORS.items():
        if "jwe" in case:
            seed("sealed", stem, case["jwe"])
            envelope = json.loads(case["jwe"])
            header = json.loads(part(envelope["protected"])) if "protected" in envelope else {}
            if stem == "message-first":
                post = {"id": 1, "cmd": "post", "to": "@erik", "message_id": header["id"], "sealed": envelope}
                seed("json", "vector-sealed", compact(post))
                seed("plain", "vector-sealed", f"@erik {case['jwe']}")
                heard = {"event": "message", "to": "@erik", "from": "sam", "seq": 1, "message_id": header["id"]}
                heard |= {"time": case["claims"]["time"], "sealed": envelope}
                seed("server_line", "vector-sealed", compact(heard))
        if "jws" in case:
            seed("envelope", f"{stem}-signed", case["jws"])
            signed_header, claims, _ = case["jws"].split(".")
            seed("envelope", stem, part(signed_header) + b"\n" + part(claims))
            if stem == "message-first":
                refused(json.loads(part(signed_header)), json.loads(part(claims)))
            if "sender" in case:
                seed("certificate", f"{stem}-leaf", base64.b64decode(case["sender"]["certificate"]))
        if "compact" in case:
            request_header, payload, _ = case["compact"].split(".")
            seed("request", stem, case["compact"])
            seed("request", f"{stem}-parts", part(request_header) + b"\n" + part(payload))
            seed("ttp", stem, compact({"op": {"enrolment": "enrol"}.get(stem, "renew"), "request": case["compact"]}))
            for name in ("device_request", "account_request"):
                if name in json.loads(part(payload)):
                    seed("pkcs10", f"{stem}-{name}", part(json.loads(part(payload))[name]))
            leaf(stem, case)


def refused(header: dict, claims: dict) -> None:
    """Claims that list refused messages, in the right form and in others."""
    hashed = base64.urlsafe_b64encode(bytes(32)).decode().rstrip("=")
    for name, n, prev, void in [
        ("first", 2, "", [0, 1]),
        ("later", 9, hashed, [7, 8]),
        ("longest", 1_000, "", list(range(1_000))),
        ("too-long", 1_001, "", list(range(1_001))),
        ("empty", 9, hashed, []),
        ("with-gap", 9, hashed, [6, 8]),
        ("beyond", 1, "", [0, 1]),
        ("no-list", 1, "", None),
    ]:
        body = claims | {"n": n, "prev": prev, "void": void}
        seed("envelope", f"void-{name}", compact(header) + "\n" + compact(body))


def leaf(stem: str, case: dict) -> None:
    """The act that a request leads to, and the revocation of its device."""
    encode = lambda text: base64.urlsafe_b64encode(base64.b64decode(text)).decode().rstrip("=")
    expected = case["expected"]
    key = expected["device_spki"]
    act = {
        "certificates": [encode(base64.b64encode(bytes(32)))],
        "device": hashlib.sha256(base64.b64decode(key)).hexdigest()[:16],
        "device_key": encode(key),
        "kind": case["kind"],
        "name": expected["name"],
        "request": case["compact"],
        "time": 1750000000000,
        "v": 1,
    }
    for name in ("account", "seal"):
        if f"{name}_spki" in expected:
            act[f"{name}_key"] = encode(expected[f"{name}_spki"])
    seed("leaf", stem, compact(dict(sorted(act.items()))))
    revoked = {"certificates": [], "device": act["device"], "kind": "revocation", "name": "sam", "time": 5, "v": 1}
    seed("leaf", "revocation", compact(revoked))


def backups() -> None:
    inventory = {"schema": 3, "counts": {"messages": 2}, "newest": "2025-11-21T10:00:00Z", "digest": "00" * 32}
    manifest = {"format": 1, "program": "parlour-server", "version": "0.1.0", "made": "2025-11-21T10:00:00Z"}
    manifest["inventory"] = inventory
    whole = [("manifest.json", compact(manifest).encode()), ("chat.db", b"SQLite format 3\0"), ("second", b"")]
    seed("backup", "whole", archive(whole, tarfile.USTAR_FORMAT))
    seed("backup", "long-name-by-extension-header", archive([("manifest.json/" + "x" * 120, b"{}")] + whole, tarfile.PAX_FORMAT))
    seed("backup", "long-name-of-gnu", archive([("manifest.json/" + "x" * 120, b"{}")] + whole, tarfile.GNU_FORMAT))
    seed("backup", "another-order", archive(whole[::-1], tarfile.USTAR_FORMAT))
    seed("backup", "leaves-its-folder", archive([whole[0], ("../chat.db", b"x"), whole[2]], tarfile.USTAR_FORMAT))
    foreign = [("manifest.json", compact(manifest | {"program": "parlour-ttp"}).encode())] + whole[1:]
    seed("backup", "of-another-program", archive(foreign, tarfile.USTAR_FORMAT))
    link = tarfile.TarInfo("chat.db")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    seed("backup", "a-link", archive([whole[0], (link, None)], tarfile.USTAR_FORMAT))


def archive(files: list, form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in files:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content or b"")
            tar.addfile(info, io.BytesIO(content or b""))
    # tarfile fills up to 10 KiB; two blocks of zeros are an end.
    return out.getvalue().rstrip(b"\0").ljust(512, b"\0") + bytes(1_536)


def words() -> None:
    for number, text in enumerate(
        ["sam", "a-b_c", "x" * 32, "#lobby", "@sam", "0123456789abcdef", "0197741c-9a80-7000-8000-000000000001"]
        + ["connections=2_000", "line_bytes=1024", "command_burst = 7"]
    ):
        seed("name", f"word-{number}", text)
    for number, text in enumerate(
        ["localhost", "chat.example.org:443", "127.0.0.1:1", "[::1]:9", "::1", "ab" * 32, "xn--bcher-kva.example"]
        + [f"parlour://chat.example.org:7275/#{'ab' * 32}", f"parlour://[::1]:7275/#{'AB' * 32}?invite=Ab-9_"]
    ):
        seed("address", f"word-{number}", text)
    seed("ttp", "answers", "\n".join([
        '{"issued":{"name":"sam","device_certificate":"AQID","account_certificate":"AQID"}}',
        '{"watching":{}}', '{"error":"name_taken"}',
        '{"revoked":{"number":1,"name":"sam","device":"0123456789abcdef","time":5}}', '{"op":"watch","after":7}',
    ]))
    seed("line", "every-fault", b"\x00" + b"x" * 65 + b"\r\n" + b"\xff\n\x1b[2J\ntab\tis fine\n\xc2\x85\n" + b"y" * 200)
    seed("plain", "marks-and-directions", "a\u0301\u0301\u0301\u0301\u0301 \u202eolleh \u2028 \u00ad👩‍👩‍👧 क्षि")


def keep(target: str) -> None:
    """Keeps KEPT of the found inputs, of all sizes up to KEPT_BYTES, in place of those that were kept before."""
    for path in (SEEDS / target).glob("found-*"):
        path.unlink()
    found = [path for path in (ROOT / "fuzz/corpus" / target).iterdir() if path.stat().st_size <= KEPT_BYTES]
    found.sort(key=lambda path: (path.stat().st_size, path.name))
    step = max(1, len(found) / KEPT)
    for index in range(min(KEPT, len(found))):
        content = found[int(index * step)].read_bytes()
        seed(target, f"found-{hashlib.sha256(content).hexdigest()[:8]}", content)


if __name__ == "__main__":
    if sys.argv[1:2] == ["keep"]:
        keep(sys.argv[2])
        sys.exit()
    transcripts()
    examples()
    vectors()
    backups()
    words()
