"""Python's `cryptography`, in the way of the published Python client. Speaks the same lines as contender.mjs."""

import base64
import hashlib
import json
import os
import sys
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

OAEP = padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def b64(data):
    return base64.b64encode(data).decode("ascii")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read(folder, name):
    with open(f"{folder}/{name}", "rb") as file:
        return file.read()


def seal(public_key, value):
    key = os.urandom(32)
    nonce = os.urandom(12)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    ciphertext = encryptor.update(text(value).encode("utf-8")) + encryptor.finalize()
    package = {
        "version": "1.0",
        "algorithm": "hybrid-aes256-rsa4096",
        "encrypted_payload": {"ciphertext": b64(ciphertext), "nonce": b64(nonce), "tag": b64(encryptor.tag)},
        "encrypted_aes_key": b64(public_key.encrypt(key, OAEP)),
        "key_algorithm": "RSA-OAEP-SHA256",
        "payload_algorithm": "AES-256-GCM",
    }
    return text(package).encode("ascii")


def open_package(private_key, body):
    package = json.loads(body)
    payload = package["encrypted_payload"]
    key = private_key.decrypt(base64.b64decode(package["encrypted_aes_key"]), OAEP)
    mode = modes.GCM(base64.b64decode(payload["nonce"]), base64.b64decode(payload["tag"]))
    decryptor = Cipher(algorithms.AES(key), mode).decryptor()
    plain = decryptor.update(base64.b64decode(payload["ciphertext"])) + decryptor.finalize()
    return json.loads(plain)


class Seal:
    def __init__(self, job):
        self.key = serialization.load_pem_public_key(read(job["folder"], "public.pem"))
        self.value = json.loads(read(job["folder"], f"request-{job['content']}-{job['size']}.json"))
        self.file = f"{job['folder']}/sealed-python.json"

    def operation(self):
        return seal(self.key, self.value)

    def baseline(self):
        return seal(self.key, {})

    def evidence(self):
        with open(self.file, "wb") as file:
            file.write(self.operation())
        return {"file": self.file}


class Open:
    def __init__(self, job):
        self.key = serialization.load_pem_private_key(read(job["folder"], "private.pem"), None)
        self.body = read(job["folder"], f"package-{job['content']}-{job['size']}.json")
        self.smallest = read(job["folder"], "package-smallest.json")

    def operation(self):
        return open_package(self.key, self.body)

    def baseline(self):
        return open_package(self.key, self.smallest)

    def evidence(self):
        return {"sha256": sha256(text(self.operation()).encode("utf-8"))}


class Rsa:
    baseline = None

    def __init__(self, job):
        self.key = serialization.load_pem_private_key(read(job["folder"], "private.pem"), None)
        package = json.loads(read(job["folder"], "package-smallest.json"))
        self.ciphertext = base64.b64decode(package["encrypted_aes_key"])

    def operation(self):
        return self.key.decrypt(self.ciphertext, OAEP)

    def evidence(self):
        return {"key": self.operation().hex()}


class KeyGeneration:
    baseline = None

    def __init__(self, job):
        pass

    def operation(self):
        return rsa.generate_private_key(public_exponent=65537, key_size=4096)

    def evidence(self):
        key = self.operation()
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        opened = text(open_package(key, seal(key.public_key(), {"text": "x"}))).encode("utf-8")
        return {"pem": pem.decode("ascii"), "opens": sha256(opened)}


class Aes:
    baseline = None

    def __init__(self, job):
        self.key = os.urandom(32)
        self.nonce = os.urandom(12)
        self.plain = bytes(job["size"])

    def operation(self):
        encryptor = Cipher(algorithms.AES(self.key), modes.GCM(self.nonce)).encryptor()
        return encryptor.update(self.plain) + encryptor.finalize(), encryptor.tag

    def evidence(self):
        ciphertext, tag = self.operation()
        return {
            "key": self.key.hex(),
            "nonce": self.nonce.hex(),
            "plain": sha256(self.plain),
            "sealed": b64(ciphertext + tag),
        }


class Base64:
    baseline = None

    def __init__(self, job):
        self.data = (b"nomyo" * (job["size"] // 5 + 1))[: job["size"]]

    def operation(self):
        return base64.b64encode(self.data)

    def evidence(self):
        return {"sha256": sha256(self.operation())}


class Attestation:
    """The signature check alone."""

    baseline = None

    def __init__(self, job):
        self.parts = json.loads(read(job["folder"], f"signature-{job['label']}.json"))
        self.key = serialization.load_pem_public_key(self.parts["pem"].encode("ascii"))
        self.message = base64.b64decode(self.parts["message"])
        self.signature = base64.b64decode(self.parts["signature"])

    def check(self, message):
        if isinstance(self.key, rsa.RSAPublicKey):
            self.key.verify(self.signature, message, padding.PKCS1v15(), hashes.SHA256())
        else:
            self.key.verify(self.signature, message, ec.ECDSA(hashes.SHA256()))

    def operation(self):
        self.check(self.message)

    def holds(self, message):
        try:
            self.check(message)
            return True
        except InvalidSignature:
            return False

    def evidence(self):
        return {"valid": self.holds(self.message), "forged": self.holds(self.message + b"\0")}


KINDS = {
    "seal": Seal,
    "open": Open,
    "rsa": Rsa,
    "keygen": KeyGeneration,
    "aes": Aes,
    "base64": Base64,
    "attestation": Attestation,
}

SHORTEST_SAMPLE_MS = 0.05


class Sampler:
    """As lib/bench/sampler.ts."""

    def __init__(self, operation):
        self.operation = operation
        self.batch = 1

    def time(self, batch):
        begin = time.perf_counter()
        for _ in range(batch):
            self.operation()
        return (time.perf_counter() - begin) * 1000

    def warm_up(self, milliseconds):
        self.operation()
        times = []
        end = time.perf_counter() + milliseconds / 1000
        while time.perf_counter() < end:
            times.append(self.time(1))
        typical = sorted(times)[len(times) // 2] if times else max(milliseconds, SHORTEST_SAMPLE_MS)
        self.batch = max(1, -int(-SHORTEST_SAMPLE_MS // max(typical, 1e-6)))

    def round(self, milliseconds, maximum):
        samples = []
        end = time.perf_counter() + milliseconds / 1000
        while not samples or (len(samples) < maximum and time.perf_counter() < end):
            samples.append(self.time(self.batch) / self.batch)
        return samples


class Contender:
    def prepare(self, command):
        job = KINDS[command["kind"]](command)
        self.main = Sampler(job.operation)
        self.fixed = Sampler(job.baseline) if job.baseline else None
        return {"evidence": job.evidence()}

    def warm(self, command):
        for sampler in (self.main, self.fixed):
            if sampler:
                sampler.warm_up(command["milliseconds"])
        return {}

    def round(self, command):
        samples = self.main.round(command["milliseconds"], command.get("samples") or float("inf"))
        fixed = self.fixed.round(command["milliseconds"] / 4, float("inf")) if self.fixed else []
        return {"samples": samples, "baseline": fixed}


def serve():
    contender = Contender()
    for line in sys.stdin:
        command = json.loads(line)
        try:
            answer = getattr(contender, command["do"])(command)
        except Exception as error:  # the measuring side reports it and stops
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    serve()
