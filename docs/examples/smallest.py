"""The smallest client (docs/protocol.md): logs in, says a line, and shows what it hears, with pyOpenSSL.

    python smallest.py HOST PORT FOLDER TEXT

FOLDER holds device.key, device.crt and ca.crt. Packages: cryptography, pyopenssl."""

import base64, json, socket, sys, uuid
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

host, port, folder, words = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
key = serialization.load_pem_private_key(open(f"{folder}/device.key", "rb").read(), None)
name = x509.load_pem_x509_certificate(open(f"{folder}/device.crt", "rb").read()).subject.rfc4514_string()[3:]

tls = SSL.Context(SSL.TLS_CLIENT_METHOD)
tls.set_min_proto_version(SSL.TLS1_3_VERSION)
tls.load_verify_locations(f"{folder}/ca.crt")  # this root and no other
tls.set_verify(SSL.VERIFY_PEER)
tls.use_certificate_file(f"{folder}/device.crt")
tls.use_privatekey_file(f"{folder}/device.key")
link = SSL.Connection(tls, socket.create_connection((host, port)))
link.set_tlsext_host_name(host.encode())
link.set_connect_state()
link.do_handshake()
leaf = link.get_peer_certificate(as_cryptography=True)
names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
assert host in names, "the certificate is for another host"

pending = b""
def hear():
    global pending
    while b"\n" not in pending:
        pending += link.recv(65536)
    line, pending = pending.split(b"\n", 1)
    print("S:", line.decode())
    return line
def say(line):
    print("C:", line)
    link.sendall(line.encode() + b"\n")

say("/dialect json")
hear()
exporter = link.export_keying_material(b"EXPORTER-Channel-Binding", 32)
transcript = b"parlour login v1\0" + name.encode() + b"\0" + exporter
signature = base64.urlsafe_b64encode(key.sign(transcript, ec.ECDSA(hashes.SHA256()))).rstrip(b"=").decode()
say(json.dumps({"id": 1, "cmd": "login", "name": name, "signature": signature}))
say(json.dumps({"id": 2, "cmd": "post", "to": "#lobby", "message_id": str(uuid.uuid4()), "text": words}))
while True:
    heard = json.loads(hear())
    if heard.get("event") == "ping":
        say('{"id":0,"cmd":"pong"}')
