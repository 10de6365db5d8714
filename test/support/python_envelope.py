"""The encrypted package as the Python client makes and reads it, over the `cryptography` package.

Reads one JSON list of jobs from standard input, writes one JSON list of results to standard output.
"""

import base64
import json
import os
import sys

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

OAEP = padding.OAEP(mgf=padding.MGF1(algorithm=hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def private_key(job):
    password = job.get("password")
    return serialization.load_pem_private_key(job["private"].encode(), password.encode() if password else None)


def seal(job):
    public = serialization.load_pem_public_key(job["public"].encode())
    key, nonce = os.urandom(32), os.urandom(12)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    ciphertext = encryptor.update(base64.b64decode(job["plaintext"])) + encryptor.finalize()
    text = lambda raw: base64.b64encode(raw).decode()
    package = {
        "version": "1.0",
        "algorithm": "hybrid-aes256-rsa4096",
        "encrypted_payload": {"ciphertext": text(ciphertext), "nonce": text(nonce), "tag": text(encryptor.tag)},
        "encrypted_aes_key": text(public.encrypt(key, OAEP)),
        "key_algorithm": "RSA-OAEP-SHA256",
        "payload_algorithm": "AES-256-GCM",
        "processed_at": 1765250382,
    }
    return base64.b64encode(json.dumps(package).encode()).decode()


def open_(job):
    package = json.loads(base64.b64decode(job["body"]).decode("utf-8"))
    payload = package["encrypted_payload"]
    key = private_key(job).decrypt(base64.b64decode(package["encrypted_aes_key"]), OAEP)
    mode = modes.GCM(base64.b64decode(payload["nonce"]), base64.b64decode(payload["tag"]))
    decryptor = Cipher(algorithms.AES(key), mode).decryptor()
    plaintext = decryptor.update(base64.b64decode(payload["ciphertext"])) + decryptor.finalize()
    json.loads(plaintext.decode("utf-8"))
    return base64.b64encode(plaintext).decode()


def generate(job):
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    password = job.get("password")
    encryption = (
        serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def public(job):
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key(job).public_key().public_bytes(serialization.Encoding.PEM, spki).decode()


JOBS = {"seal": seal, "open": open_, "generate": generate, "public": public}
json.dump([JOBS[job["do"]](job) for job in json.load(sys.stdin)], sys.stdout)
