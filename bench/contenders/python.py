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


def encrypt(key, nonce, plain):
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    return encryptor.update(plain) + encryptor.finalize(), encryptor.tag


def seal(public_key, value):
    key, nonce = os.urandom(32), os.urandom(12)
    ciphertext, tag = encrypt(key, nonce, text(value).encode("utf-8"))
    package = {
        "version": "1.0",
        "algorithm": "hybrid-aes256-rsa4096",
        "encrypted_payload": {"ciphertext": b64(ciphertext), "nonce": b64(nonce), "tag": b64(tag)},
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
    return json.loads(decryptor.update(base64.b64decode(payload["ciphertext"])) + decryptor.finalize())


class Kinds:
    """Each kind gives what is timed, what is timed beside it (or None), and a function that gives the evidence."""

    def __init__(self, job):
        self.job = job

    def read(self, name):
        with open(f"{self.job['folder']}/{name}", "rb") as file:
            return file.read()

    def private_key(self):
        return serialization.load_pem_private_key(self.read("private.pem"), None)

    def cell(self):
        return f"{self.job['content']}-{self.job['size']}.json"

    def seal(self):
        key = serialization.load_pem_public_key(self.read("public.pem"))
        value = json.loads(self.read("request-" + self.cell()))

        def evidence():
            name = f"{self.job['folder']}/sealed-python.json"
            with open(name, "wb") as file:
                file.write(seal(key, value))
            return {"file": name}

        return lambda: seal(key, value), lambda: seal(key, {}), evidence

    def open(self):
        key = self.private_key()
        body, smallest = self.read("package-" + self.cell()), self.read("package-smallest.json")
        opened = lambda: {"sha256": sha256(text(open_package(key, body)).encode("utf-8"))}
        return lambda: open_package(key, body), lambda: open_package(key, smallest), opened

    def rsa(self):
        key = self.private_key()
        wrapped = base64.b64decode(json.loads(self.read("package-smallest.json"))["encrypted_aes_key"])
        decrypt = lambda: key.decrypt(wrapped, OAEP)
        return decrypt, None, lambda: {"key": decrypt().hex()}

    def keygen(self):
        generate = lambda: rsa.generate_private_key(public_exponent=65537, key_size=4096)

        def evidence():
            key = generate()
            form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            opened = open_package(key, seal(key.public_key(), {"text": "x"}))
            return {
                "pem": key.public_key().public_bytes(*form).decode("ascii"),
                "opens": sha256(text(opened).encode("utf-8")),
            }

        return generate, None, evidence

    def aes(self):
        key, nonce, plain = os.urandom(32), os.urandom(12), bytes(self.job["size"])
        run = lambda: encrypt(key, nonce, plain)
        given = {"key": key.hex(), "nonce": nonce.hex(), "plain": sha256(plain)}
        return run, None, lambda: {**given, "sealed": b64(b"".join(run()))}

    def base64(self):
        size = self.job["size"]
        data = (b"nomyo" * (size // 5 + 1))[:size]
        return lambda: base64.b64encode(data), None, lambda: {"sha256": sha256(base64.b64encode(data))}

    def attestation(self):
        """The signature check alone."""
        parts = json.loads(self.read(f"signature-{self.job['label']}.json"))
        key = serialization.load_pem_public_key(parts["pem"].encode("ascii"))
        signature, signed = base64.b64decode(parts["signature"]), base64.b64decode(parts["message"])
        is_rsa = isinstance(key, rsa.RSAPublicKey)
        hash_algorithm = getattr(hashes, parts["hash"].upper())()
        scheme = [padding.PKCS1v15(), hash_algorithm] if is_rsa else [ec.ECDSA(hash_algorithm)]

        def holds(message):
            try:
                key.verify(signature, message, *scheme)
                return True
            except InvalidSignature:
                return False

        evidence = lambda: {"valid": holds(signed), "forged": holds(signed + b"\0")}
        return lambda: key.verify(signature, signed, *scheme), None, evidence


SHORTEST_SAMPLE_MS = 0.05


def samples(operation, milliseconds, batch=1, maximum=None):
    """Milliseconds of single runs, as lib/bench/sampler.ts has them."""
    times = []
    end = time.perf_counter() + milliseconds / 1000
    while not times or (len(times) < (maximum or float("inf")) and time.perf_counter() < end):
        begin = time.perf_counter()
        for _ in range(batch):
            operation()
        times.append((time.perf_counter() - begin) * 1000 / batch)
    return times


def median(values):
    return sorted(values)[len(values) // 2]


job = {}


def answer(command):
    """One command's answer; what was prepared is kept from one to the next."""
    if command["do"] == "prepare":
        operation, fixed, evidence = getattr(Kinds(command), command["kind"])()
        job["operations"] = [one for one in (operation, fixed) if one]
        job["batches"] = [1 for _ in job["operations"]]
        return {"evidence": evidence()}
    milliseconds = command["milliseconds"]
    if command["do"] == "warm":
        times = [median(samples(one, milliseconds)) for one in job["operations"]]
        job["batches"] = [max(1, -int(-SHORTEST_SAMPLE_MS // max(one, 1e-6))) for one in times]
        return {}
    (own, *fixed), (batch, *_) = job["operations"], job["batches"]
    beside = {"fixed": median(samples(fixed[0], milliseconds / 4, job["batches"][1]))} if fixed else {}
    return {"samples": samples(own, milliseconds, batch, command.get("samples")), **beside}


for line in sys.stdin:
    try:
        said = answer(json.loads(line))
    except Exception as error:  # the measuring side reports it and stops
        said = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(said), flush=True)
