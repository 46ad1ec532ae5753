"""Judges what testssl.sh and sslyze wrote about the server: `tls_check.py FOLDER`, see tls-check.sh.

Exits with 1 and a list if anything is below the best for TLS 1.3 alone, or was not looked at.
"""

import json
import pathlib
import re
import sys

# Accepted findings below a tool's best: (tool, its name for the finding, words in the finding), and the reason.
EXCEPTIONS = {
    ("testssl", "cert_revocation", "Neither CRL nor OCSP URI provided"):
        "the authority is private and publishes neither: clients pin its root, the server asks the TTP",
    ("testssl", "engine_problem", "No engine or GOST support"):
        "about the OpenSSL of the machine that asks, not about the server",
    ("sslyze", "maximum_certificate_lifespan", "365 days"):
        "the 90 days are for public authorities; ours is minted for a year and again 30 days before its end",
}

SUITES = {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"}
# X25519MLKEM768 comes first in the server's order, but these tools may not know it; tests/e2e/tls.rs does.
GROUPS = {"X25519MLKEM768", "X25519", "secp256r1", "prime256v1", "secp384r1"}

# testssl.sh must have looked at these, so that a scan that broke off does not pass. Version 3.0 writes no SWEET32 where
# there is TLS 1.3 alone; it is about the ciphers of cipherlist_LOW and cipherlist_3DES_IDEA.
LOOKED_AT = """SSLv2 SSLv3 TLS1 TLS1_1 TLS1_2 TLS1_3 cipherlist_NULL cipherlist_aNULL cipherlist_EXPORT
    cipherlist_LOW cipherlist_3DES_IDEA cert_chain_of_trust cert_trust heartbleed CCS ROBOT secure_renego
    secure_client_renego CRIME_TLS POODLE_SSL fallback_SCSV FREAK DROWN LOGJAM BEAST LUCKY13 RC4""".split()


def testssl(folder):
    """Yields the findings of testssl.sh below its best, as (what, finding), and prints what it judged."""
    entries = json.loads((folder / "testssl.json").read_text())
    found = {entry["id"]: entry for entry in entries}
    for what in LOOKED_AT:
        if what not in found:
            yield what, "was not looked at"
    for entry in entries:
        # OK and INFO are its two best, DEBUG is about itself; WARN, LOW, MEDIUM, HIGH, CRITICAL, FATAL are not.
        if entry["severity"] not in ("OK", "INFO", "DEBUG"):
            yield entry["id"], f"{entry['severity']}: {entry['finding']}"
    for old in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2"):
        if not found.get(old, {}).get("finding", "").startswith("not offered"):
            yield old, f"is not said to be off: {found.get(old, {}).get('finding')}"
    suites = {entry["finding"].split()[-1] for entry in entries if re.match("cipher[-_].*x[0-9a-f]+$", entry["id"])}
    if suites != SUITES:
        yield "ciphers", f"offered are {sorted(suites)}"
    groups = set(" ".join(e["finding"] for e in entries if e["id"].endswith(("ECDHE_curves", "KEMs"))).split())
    if not groups or not groups <= GROUPS:
        yield "groups", f"offered are {sorted(groups)}"
    # Since 3.2 it gives a grade.
    grade = found.get("overall_grade", {}).get("finding")
    if grade not in (None, "A", "A+"):
        yield "overall_grade", grade
    print(f"testssl.sh: {len(entries)} findings, grade {grade or 'not given by this version'}")


def sslyze(folder):
    """Yields the findings of sslyze below its best, as (what, finding), and prints what it judged."""
    (server,) = json.loads((folder / "sslyze.json").read_text())["server_scan_results"]
    if server["scan_status"] != "COMPLETED":
        yield "scan", server["scan_status"]
        return
    scan = server["scan_result"]
    results = {}
    for name, attempt in scan.items():
        if name == "http_headers":  # there are none
            continue
        if attempt["status"] != "COMPLETED":
            yield name, f"{attempt['status']}: {attempt['error_reason']}"
        else:
            results[name] = attempt["result"]
    for name, result in results.items():
        if not name.endswith("_cipher_suites"):
            continue
        suites = {each["cipher_suite"]["name"] for each in result["accepted_cipher_suites"]}
        wanted = SUITES if name == "tls_1_3_cipher_suites" else set()
        if suites != wanted or result["is_tls_version_supported"] != bool(wanted):
            yield name, f"offered are {sorted(suites)}"
    best = [
        ("tls_compression", "supports_compression", False),
        ("tls_1_3_early_data", "supports_early_data", False),
        ("openssl_ccs_injection", "is_vulnerable_to_ccs_injection", False),
        ("heartbleed", "is_vulnerable_to_heartbleed", False),
        ("robot", "robot_result", "NOT_VULNERABLE_RSA_NOT_SUPPORTED"),
        ("session_renegotiation", "is_vulnerable_to_client_renegotiation_dos", False),
        ("session_renegotiation", "supports_secure_renegotiation", True),
        ("session_resumption", "session_id_resumption_result", "SERVER_IS_TLS_1_3_ONLY"),
        ("session_resumption", "tls_ticket_resumption_result", "SERVER_IS_TLS_1_3_ONLY"),
        ("tls_fallback_scsv", "supports_fallback_scsv", True),
        ("tls_extended_master_secret", "supports_ems_extension", True),
    ]
    for name, key, value in best:
        if name in results and results[name][key] != value:
            yield name, f"{key} is {results[name][key]}"
    groups = {curve["name"] for curve in results["elliptic_curves"]["supported_curves"]}
    if not groups or not groups <= GROUPS:
        yield "groups", f"offered are {sorted(groups)}"
    for deployment in results["certificate_info"]["certificate_deployments"]:
        if not deployment["verified_certificate_chain"]:
            yield "certificate", "does not lead to our root"
        if not deployment["received_chain_has_valid_order"]:
            yield "certificate", "the chain is out of order"
    # Its grade: whether the server complies with Mozilla's strictest configuration, and where it does not.
    report = (folder / "sslyze.txt").read_text()
    verdict = report.partition("COMPLIANCE AGAINST")[2]
    misses = [line.strip()[2:].split(": ", 1) for line in verdict.splitlines() if line.strip().startswith("* ")]
    for miss in misses:
        yield miss[0], miss[-1]
    if not misses and "OK - Compliant" not in verdict:
        yield "modern", "has no verdict"
    print(f"sslyze: {len(results)} scans, Mozilla's configuration \"modern\" with {len(misses)} points missed")


def main():
    folder = pathlib.Path(sys.argv[1])
    below = []
    for tool, judge in (("testssl", testssl), ("sslyze", sslyze)):
        for what, finding in judge(folder):
            for (of, name, words), reason in EXCEPTIONS.items():
                if (of, name) == (tool, what) and words in finding:
                    print(f"  allowed: {what}: {finding}\n    because {reason}")
                    break
            else:
                below.append(f"{tool}: {what}: {finding}")
    if below:
        print("\n".join(["error: below the best:", *below]), file=sys.stderr)
        sys.exit(1)
    print("TLS 1.3 alone, its three AEAD suites, nothing else below the best")


main()
