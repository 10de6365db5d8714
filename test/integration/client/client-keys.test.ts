/** PROTOCOL section 6: the client's own keys in memory and on disk, rotation, exchange with OpenSSL and Python. */
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import type { KeyObject } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { SecureCompletionClient } from "../../../lib/client/secure-completion-client.js";
import { ConfigurationError, SecurityError } from "../../../lib/errors.js";
import { SecureBuffer } from "../../../lib/memory/secure-buffer.js";
import { ReferenceServer } from "../../support/reference-server.js";
import { keyVectors, TestClients } from "../../support/test-clients.js";

const request = { model: "m", messages: [{ role: "user" as const, content: "x" }] };
const password = "correct horse battery";
const clients = new TestClients();
let server: ReferenceServer;
let folder: string;
// Generating a 4096-bit key takes a second of a core, more on a busy machine.
jest.setTimeout(240_000);
const at = (name: string): string => join(folder, name);

beforeEach(async () => {
  server = await ReferenceServer.start();
  folder = mkdtempSync(join(tmpdir(), "keys-test-"));
});
afterEach(async () => {
  await clients.close();
  await server.stop();
  rmSync(folder, { recursive: true });
});
afterAll(() => clients.removeKeys());

const spkiSha256 = (key: KeyObject): string =>
  createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex");

/** The public keys that the server was shown, as SHA-256 of their DER. */
const shownKeys = (): string[] => server.received.map(({ clientKey }) => spkiSha256(clientKey));

const python = (script: string, ...args: string[]): string =>
  execFileSync("/usr/bin/python3", ["-c", script, ...args], { encoding: "utf8" });

/** Writes a key pair as the published Python client does. */
const pythonWrites = `
import sys, os
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import rsa
folder, password = sys.argv[1], sys.argv[2]
k = rsa.generate_private_key(public_exponent=65537, key_size=2048)
e = s.BestAvailableEncryption(password.encode()) if password else s.NoEncryption()
def put(name, data, mode):
    with os.fdopen(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT, mode), "wb") as f: f.write(data)
put("private_key.pem", k.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, e), 0o600)
put("public_key.pem", k.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo), 0o644)
`;
const pythonReads = `
import sys
from cryptography.hazmat.primitives import serialization as s
k = s.load_pem_private_key(open(sys.argv[1], "rb").read(), sys.argv[2].encode() or None)
p = k.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
assert p == open(sys.argv[3], "rb").read()
print(k.key_size)
`;

/** Puts the vectors' private key into a folder, under the password. */
function putEncrypted(keyDir: string): void {
  const [plain, target] = [join(keyVectors, "client_private.pem"), join(keyDir, "private_key.pem")];
  const form = ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", `pass:${password}`];
  execFileSync("openssl", [...form, "-in", plain, "-out", target]);
  chmodSync(target, 0o600);
}

/** A whole pair, as old as can be: to be replaced at once. */
function putOldPair(keyDir: string): void {
  mkdirSync(keyDir, { mode: 0o700 });
  putEncrypted(keyDir);
  copyFileSync(join(keyVectors, "client_public.pem"), join(keyDir, "public_key.pem"));
  utimesSync(join(keyDir, "private_key.pem"), 0, 0);
}

describe("a key in memory", () => {
  it("has 4096 bits, is made from construction on, and is another one for each client", async () => {
    const options = { baseUrl: server.url, allowHttp: true, keyDir: undefined };
    const one = clients.make(options);
    await one.ready();
    await one.create(request);
    await clients.make(options).create(request);
    expect(server.received.map(({ clientKey }) => clientKey.asymmetricKeyDetails?.modulusLength)).toEqual([4096, 4096]);
    expect(new Set(shownKeys()).size).toBe(2);
  });
});

describe("a key folder", () => {
  it("is made with its files and modes, and used again", async () => {
    const keyDir = at("client_keys");
    const former = process.umask(0);
    try {
      await clients.make({ baseUrl: server.url, keyDir }).ready();
    } finally {
      process.umask(former);
    }
    expect(statSync(keyDir).mode & 0o777).toBe(0o700);
    expect(statSync(join(keyDir, "private_key.pem")).mode & 0o777).toBe(0o600);
    expect(statSync(join(keyDir, "public_key.pem")).mode & 0o777).toBe(0o644);
    expect(readdirSync(keyDir).sort()).toEqual(["private_key.pem", "public_key.pem"]);
    expect(readFileSync(join(keyDir, "private_key.pem"), "utf8")).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
    const before = readFileSync(join(keyDir, "private_key.pem"));
    await clients.make({ baseUrl: server.url, keyDir }).create(request);
    await clients.make({ baseUrl: server.url, keyDir }).create(request);
    expect(new Set(shownKeys()).size).toBe(1);
    expect(readFileSync(join(keyDir, "private_key.pem"))).toEqual(before);
  });

  it("gets its public key back when only that is missing", async () => {
    copyFileSync(join(keyVectors, "client_private.pem"), at("private_key.pem"));
    chmodSync(at("private_key.pem"), 0o600);
    await clients.make({ baseUrl: server.url, keyDir: folder }).ready();
    expect(readFileSync(at("public_key.pem"), "utf8")).toBe(
      readFileSync(join(keyVectors, "client_public.pem"), "utf8"),
    );
  });

  it("of two clients that start together ends with one pair that both can use later", async () => {
    const keyDir = at("shared");
    await Promise.all([
      clients.make({ baseUrl: server.url, keyDir }).ready(),
      clients.make({ baseUrl: server.url, keyDir }).ready(),
    ]);
    const stated = createPublicKey(readFileSync(join(keyDir, "public_key.pem"))).export({
      type: "spki",
      format: "der",
    });
    const derived = createPublicKey(createPrivateKey(readFileSync(join(keyDir, "private_key.pem")))).export({
      type: "spki",
      format: "der",
    });
    expect(stated.equals(derived)).toBe(true);
    await clients.make({ baseUrl: server.url, keyDir }).create(request);
  });
});

describe("files are exchanged", () => {
  const variants: [string, string][] = [
    ["without a password", ""],
    ["with a password", password],
  ];
  const optional = (secret: string): string | undefined => (secret === "" ? undefined : secret);
  /** Uses the pair in this folder and returns what the server was shown beside what the public file holds. */
  const shownAndStored = async (keyDir: string, secret: string): Promise<string[]> => {
    await clients.make({ baseUrl: server.url, keyDir, keyPassword: optional(secret) }).create(request);
    const der = createPublicKey(readFileSync(join(keyDir, "public_key.pem"))).export({ type: "spki", format: "der" });
    return [...shownKeys(), createHash("sha256").update(der).digest("hex")];
  };

  it.each(variants)("ours are read by Python's cryptography and by OpenSSL's command, %s", async (_how, secret) => {
    const keyDir = at("ours");
    await clients.make({ baseUrl: server.url, keyDir, keyPassword: optional(secret) }).ready();
    const [privateKey, publicKey] = [join(keyDir, "private_key.pem"), join(keyDir, "public_key.pem")];
    expect(python(pythonReads, privateKey, secret, publicKey).trim()).toBe("4096");
    const command = ["pkey", "-in", privateKey, "-passin", `pass:${secret}`, "-pubout"];
    const text = execFileSync("openssl", command, { encoding: "utf8", stdio: "pipe" });
    expect(text).toBe(readFileSync(publicKey, "utf8"));
    if (secret === "") return;
    const parsed = execFileSync("openssl", ["asn1parse", "-in", privateKey], { encoding: "utf8" });
    expect(parsed).toMatch(/PBES2/);
    expect(parsed).toMatch(/aes-256-cbc/);
  });

  it.each(variants)("Python's are read, %s", async (_how, secret) => {
    python(pythonWrites, folder, secret);
    const [shown, stored] = await shownAndStored(folder, secret);
    expect(shown).toBe(stored);
  });

  it.each(variants)("OpenSSL's are read, %s", async (_how, secret) => {
    const encrypt = secret === "" ? [] : ["-aes-256-cbc", "-pass", `pass:${secret}`];
    const command = ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", ...encrypt];
    execFileSync("openssl", [...command, "-out", at("private_key.pem")], { stdio: "pipe" });
    chmodSync(at("private_key.pem"), 0o600);
    const publish = ["pkey", "-in", at("private_key.pem"), "-passin", `pass:${secret}`, "-pubout"];
    execFileSync("openssl", [...publish, "-out", at("public_key.pem")], { stdio: "pipe" });
    const [shown, stored] = await shownAndStored(folder, secret);
    expect(shown).toBe(stored);
  });
});

describe("a password", () => {
  it.each([
    ["a SecureBuffer", () => SecureBuffer.from(password, "required")],
    ["a function that gives a string", () => () => password],
    [
      "a function that gives a promise of a SecureBuffer",
      () => () => Promise.resolve(SecureBuffer.from(password, "required")),
    ],
  ])("may be %s", async (_form, make) => {
    putEncrypted(folder);
    await clients.make({ baseUrl: server.url, keyDir: folder, keyPassword: make() }).ready();
  });

  it.each([
    ["wrong", "not the right one", "KEY_PASSWORD"],
    ["missing", undefined, "KEY_PASSWORD"],
  ])("that is %s: an error, and the file stays", async (_what, keyPassword, code) => {
    putEncrypted(folder);
    const before = readFileSync(at("private_key.pem"));
    const client = clients.make({ baseUrl: server.url, keyDir: folder, keyPassword });
    const error: unknown = await client.create(request).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: "SecurityError", code, sent: "no" });
    expect((error as Error).message).not.toContain("not the right one");
    expect(readFileSync(at("private_key.pem"))).toEqual(before);
    expect(server.log).toEqual([]);
  });

  it("under 8 characters does not protect a new key, but may open an old one", async () => {
    const short = clients.make({ baseUrl: server.url, keyDir: at("new"), keyPassword: "1234567" });
    await expect(short.ready()).rejects.toMatchObject({ name: "ConfigurationError", option: "keyPassword" });
    expect(existsSync(join(at("new"), "private_key.pem"))).toBe(false);

    execFileSync("openssl", [
      "pkcs8",
      "-topk8",
      "-v2",
      "aes-256-cbc",
      "-in",
      join(keyVectors, "client_private.pem"),
      "-out",
      at("private_key.pem"),
      "-passout",
      "pass:short",
    ]);
    chmodSync(at("private_key.pem"), 0o600);
    await clients.make({ baseUrl: server.url, keyDir: folder, keyPassword: "short" }).ready();
  });

  it.each([
    ["throws", () => Promise.reject(new Error("vault: hunter2hunter2"))],
    ["gives nothing", () => undefined as unknown as string],
    ["gives an empty string", () => ""],
  ])("whose function %s is an error that keeps the cause to itself", async (_what, keyPassword) => {
    putEncrypted(folder);
    const error: unknown = await clients
      .make({ baseUrl: server.url, keyDir: folder, keyPassword })
      .ready()
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ name: "ConfigurationError", option: "keyPassword" });
    expect(String((error as Error).stack)).not.toContain("hunter2");
  });

  it("passes an error of this package's own through", async () => {
    putEncrypted(folder);
    const mine = new ConfigurationError("vault", "no vault");
    await expect(
      clients.make({ baseUrl: server.url, keyDir: folder, keyPassword: () => Promise.reject(mine) }).ready(),
    ).rejects.toEqual(mine);
  });
});

describe("a private key file is refused, and never written over", () => {
  const put = (content: string | Buffer, mode = 0o600): void => {
    writeFileSync(at("private_key.pem"), content);
    chmodSync(at("private_key.pem"), mode);
  };
  const good = readFileSync(join(keyVectors, "client_private.pem"));
  const cases: [string, () => void, string, RegExp][] = [
    ["when others may read it", () => put(good, 0o644), "KEY_PERMISSIONS", /chmod 600 /],
    ["when the group may read it", () => put(good, 0o640), "KEY_PERMISSIONS", /chmod 600 /],
    ["when it is empty", () => put(""), "KEY_FORMAT", /0 bytes/],
    ["when it is much too long", () => put(Buffer.alloc(100_000)), "KEY_FORMAT", /100000 bytes/],
    ["when it is no PEM", () => put("hello"), "KEY_FORMAT", /not a private key/],
    ["when it is cut short", () => put(good.subarray(0, 1000)), "KEY_FORMAT", /not a private key/],
    ["when it is elliptic", () => put(readFileSync(join(keyVectors, "ec_private.pem"))), "KEY_WEAK", /RSA/],
    ["when it is too weak", () => put(readFileSync(join(keyVectors, "rsa1024_private.pem"))), "KEY_WEAK", /2048/],
    [
      "when nomyo-js wrote it as PEM",
      () =>
        put(
          `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${Buffer.alloc(2400, 0xa7).toString("base64")}\n-----END ENCRYPTED ` +
            "PRIVATE KEY-----\n",
        ),
      "KEY_FORMAT",
      /nomyo-js/,
    ],
    [
      "when nomyo-js wrote it as JSON",
      () => put('{"salt":"AAAA","iv":"AAAA","data":"AAAA"}'),
      "KEY_FORMAT",
      /nomyo-js/,
    ],
    [
      "when the public key is another one's",
      () => {
        put(good);
        writeFileSync(at("public_key.pem"), server.keys.publicPem);
      },
      "KEY_MISMATCH",
      /does not belong/,
    ],
    [
      "when the public key is broken",
      () => {
        put(good);
        writeFileSync(at("public_key.pem"), "x");
      },
      "KEY_FORMAT",
      /public_key.pem is not/,
    ],
  ];
  it.each(cases)("%s", async (_when, prepare, code, message) => {
    prepare();
    const before = readFileSync(at("private_key.pem"));
    const client = clients.make({
      baseUrl: server.url,
      keyDir: folder,
      keyPassword: code === "KEY_FORMAT" && /ENCRYPTED|salt/.test(String(before)) ? password : undefined,
    });
    const error: unknown = await client.ready().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(SecurityError);
    expect(error).toMatchObject({ code });
    expect((error as Error).message).toMatch(message);
    await expect(client.create(request)).rejects.toMatchObject({ code, sent: "no" });
    expect(readFileSync(at("private_key.pem"))).toEqual(before);
  });

  it("when only the public key is there", async () => {
    writeFileSync(at("public_key.pem"), server.keys.publicPem);
    await expect(clients.make({ baseUrl: server.url, keyDir: folder }).ready()).rejects.toMatchObject({
      code: "KEY_FILES",
    });
    expect(readdirSync(folder)).toEqual(["public_key.pem"]);
  });

  it("when it is not readable as a file at all", async () => {
    mkdirSync(at("private_key.pem"), { mode: 0o700 });
    await expect(clients.make({ baseUrl: server.url, keyDir: folder }).ready()).rejects.toMatchObject({
      name: "ConfigurationError",
      option: "keyDir",
    });
  });

  it("when the folder cannot be made", async () => {
    writeFileSync(at("file"), "");
    await expect(clients.make({ baseUrl: server.url, keyDir: join(at("file"), "keys") }).ready()).rejects.toMatchObject(
      { option: "keyDir" },
    );
  });

  it("works again as soon as the cause is gone", async () => {
    put(good, 0o644);
    const client = clients.make({ baseUrl: server.url, keyDir: folder });
    await expect(client.ready()).rejects.toThrow(SecurityError);
    chmodSync(at("private_key.pem"), 0o600);
    await client.create(request);
  });
});

describe("rotation", () => {
  it("replaces the key in memory; a request in flight keeps the one it was sent with", async () => {
    const client = clients.make({ baseUrl: server.url, keyDir: undefined, keyRotationInterval: 2500 });
    let release: (() => void) | undefined;
    let before: string | undefined;
    server.onPost = (body, incoming, response) => {
      before = spkiSha256(createPublicKey(decodeURIComponent(String(incoming.headers["x-public-key"]))));
      release = () => void (response.writableEnded || server.reply(body, incoming, response));
    };
    const slow = client.create(request);
    while (release === undefined) await new Promise((resolve) => setTimeout(resolve, 10));
    server.onPost = undefined;
    try {
      do {
        await new Promise((resolve) => setTimeout(resolve, 200));
        await client.create(request);
      } while (shownKeys().at(-1) === before);
      release();
      await expect(slow).resolves.toBeDefined();
      expect(shownKeys().at(-1)).toBe(before);
    } finally {
      release();
    }
  });

  it("replaces the files too, when they are old enough, under the same password", async () => {
    const keyDir = at("keys");
    putOldPair(keyDir);
    const old = readFileSync(join(keyDir, "public_key.pem"), "utf8");
    const client = clients.make({
      baseUrl: server.url,
      keyDir,
      keyPassword: password,
      keyRotationInterval: 86_400_000,
    });
    await client.create(request);
    while (
      !existsSync(join(keyDir, "public_key.pem")) ||
      readFileSync(join(keyDir, "public_key.pem"), "utf8") === old
    ) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await client.create(request);
    const [first, second] = shownKeys();
    expect(second).not.toBe(first);
    expect(python(pythonReads, join(keyDir, "private_key.pem"), password, join(keyDir, "public_key.pem")).trim()).toBe(
      "4096",
    );
    expect(statSync(join(keyDir, "private_key.pem")).mode & 0o777).toBe(0o600);
  });

  it("that fails is logged, and the present key goes on", async () => {
    const keyDir = at("keys");
    putOldPair(keyDir);
    const lines: string[] = [];
    const log = (): void => undefined;
    const logger = { debug: log, info: log, warn: log, error: (message: string) => void lines.push(message) };
    let calls = 0;
    const keyPassword = (): string => (calls++ === 0 ? password : "short");
    const client = clients.make({ baseUrl: server.url, keyDir, keyPassword, keyRotationInterval: 86_400_000, logger });
    await client.create(request);
    while (lines.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(lines).toEqual([expect.stringMatching(/could not be replaced/)]);
    await client.create(request);
    expect(new Set(shownKeys()).size).toBe(1);
  });
});

describe("SecureCompletionClient", () => {
  const make = (): SecureCompletionClient =>
    clients.add(new SecureCompletionClient({ baseUrl: server.url, allowHttp: true }));

  it("generates, saves, never replaces, and loads", async () => {
    const client = make();
    await client.generateKeys({ saveToFile: true, keyDir: at("keys"), password });
    await expect(client.generateKeys({ saveToFile: true, keyDir: at("keys"), password })).rejects.toMatchObject({
      option: "keyDir",
    });
    const loaded = make();
    await loaded.loadKeys(join(at("keys"), "private_key.pem"), join(at("keys"), "public_key.pem"), password);
    await client.sendSecureRequest(request);
    await loaded.sendSecureRequest(request, { security_tier: "high" });
    expect(new Set(shownKeys()).size).toBe(1);
    expect(server.received[1]?.headers["x-security-tier"]).toBe("high");
  });

  it("refuses a password without a file", async () => {
    await expect(make().generateKeys({ password })).rejects.toMatchObject({ option: "password" });
  });

  it("reports a folder that cannot be written", async () => {
    writeFileSync(at("file"), "");
    await expect(make().generateKeys({ saveToFile: true, keyDir: join(at("file"), "x") })).rejects.toMatchObject({
      option: "keyDir",
    });
  });

  it("loads PKCS#1 as well, and reports a file that is not there", async () => {
    copyFileSync(join(keyVectors, "client_private_pkcs1.pem"), at("k.pem"));
    chmodSync(at("k.pem"), 0o600);
    await make().loadKeys(at("k.pem"));
    await expect(make().loadKeys(at("missing.pem"))).rejects.toMatchObject({
      name: "ConfigurationError",
      option: "keyDir",
    });
    await expect(make().loadKeys(at("k.pem"), at("missing.pem"))).rejects.toMatchObject({ name: "ConfigurationError" });
  });

  it("does the steps one by one, by hand", async () => {
    const client = make();
    await client.generateKeys();
    const sealed = await client.encryptPayload(request);
    expect(sealed).toBeInstanceOf(Uint8Array);
    let answer: Buffer | undefined;
    await client.sendSecureRequest(request);
    const { clientKey } = server.received[0]!;
    server.onPost = undefined;
    const { sealWithNode } = await import("../../support/reference-server.js");
    answer = Buffer.from(
      JSON.stringify(sealWithNode(Buffer.from('{"id":"a","_metadata":{"payload_id":"p1"}}'), clientKey, 7)),
    );
    expect(await client.decryptResponse(answer, "p1")).toEqual({
      id: "a",
      _metadata: {
        payload_id: "p1",
        processed_at: 7,
        is_encrypted: true,
        encryption_algorithm: "hybrid-aes256-rsa4096",
      },
    });
    await expect(client.decryptResponse(answer, "p2")).rejects.toMatchObject({ code: "PAYLOAD_ID" });
    answer = Buffer.from(answer.toString().replace(/"tag":"./, '"tag":"*'));
    await expect(client.decryptResponse(answer, "p1")).rejects.toThrow(SecurityError);
  });
});
