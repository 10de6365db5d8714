/**
 * The proof that the command line keeps what it reads and answers in the pool: key files, passwords and prompts from
 * files, pipes and a terminal; prompts, history and answers of a conversation; an answer that nobody takes.
 *
 * Each process is stopped at a moment that lasts as long as the test wants: a question that nobody answers, an output
 * that is full, a key that takes hours to derive. Under mlock, where the pool can be read: what the search finds there
 * shows that it looks for the right thing.
 */
import { createPrivateKey, randomBytes } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HeldExchange } from "../support/held-exchange.js";
import { startLocalRouter } from "../support/local-router.js";
import type { LocalRouter } from "../support/local-router.js";
import { outsidePool, whyNotReadable } from "../support/memory-scan.js";
import type { Hit, Patterns, Scan } from "../support/memory-scan.js";
import { rsaKeyPatterns, secretText, textPatterns } from "../support/secret-patterns.js";
import { withoutMemfdSecret } from "../support/subject.js";
import { WatchedProcess } from "../support/watched-process.js";

jest.setTimeout(240_000);

const command = join(__dirname, "../../dist/cli/main.js");
const unreadable = whyNotReadable();
const describeUnless = unreadable === undefined ? describe : describe.skip;
const python = (script: string) => ["/usr/bin/python3", join(__dirname, "../support", script)];
const onTerminal = python("on-terminal.py");
const fullOutput = python("full-output.py");

/** No secret: it stands in each process's environment. A scan that does not find it has not looked. */
const beacon = secretText(40);
let folder: string;
let watched: WatchedProcess | undefined;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nomyo-cli-forensic-"));
});
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(async () => {
  await watched?.end();
  watched = undefined;
});

const file = (name: string, content: string | Buffer): string => {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
};

async function start(args: readonly string[], circumstances: readonly string[] = []): Promise<WatchedProcess> {
  watched = await WatchedProcess.start([command, ...args], {
    circumstances: [...withoutMemfdSecret, ...circumstances],
    env: { BEACON: beacon },
  });
  return watched;
}

/** The names of what is found in the pool, when nothing is found elsewhere. */
async function namesInPool(secrets: Patterns, scan: (patterns: Patterns) => Promise<Scan>): Promise<Set<string>> {
  const { hits } = await scan({ ...secrets, ...textPatterns("beacon", beacon) });
  const isBeacon = ({ name }: Hit) => name.startsWith("beacon");
  expect(hits.some(isBeacon)).toBe(true);
  const found = hits.filter((hit) => !isBeacon(hit));
  expect(outsidePool({ hits: found }).slice(0, 10)).toEqual([]);
  return new Set(found.map(({ name }) => name));
}

const memory = (secrets: Patterns) => namesInPool(secrets, (patterns) => watched!.scan(patterns));
/** Ends the process: nothing in the registers, nor in the core dump, which has no pool. */
const searchDump = async (secrets: Patterns): Promise<void> => {
  expect(await namesInPool(secrets, (patterns) => watched!.dump(patterns))).toEqual(new Set());
};

/** Until the pool has all of these, whatever the machine; nothing is elsewhere meanwhile. */
async function untilInPool(secrets: Patterns, names: readonly string[]): Promise<void> {
  // Without reports: until it has come that far, Node may not listen yet for the signals that ask for them.
  const scan = (patterns: Patterns) => watched!.scan(patterns, { reports: false });
  for (;;) {
    const found = await namesInPool(secrets, scan);
    if (names.every((name) => found.has(name))) break;
  }
  expect([...(await memory(secrets))]).toEqual(expect.arrayContaining([...names]));
}

/** Of a key file without a password: the numbers, and the base64 and bytes that the file is made of. */
function keyFilePatterns(key: KeyObject): Patterns {
  const pem = key.export({ type: "pkcs8", format: "pem" }).toString();
  // The first numbers of the file are the public ones.
  const lines = pem.split("\n").slice(12, -2);
  const der = key.export({ type: "pkcs8", format: "der" });
  return {
    ...rsaKeyPatterns("key", key),
    ...Object.fromEntries(lines.flatMap((line, at) => Object.entries(textPatterns(`line ${at + 12}`, line)))),
    "DER of the private numbers": [{ bytes: der.subarray(der.length - 1500), fragment: 12 }],
  };
}

const privateKey = createPrivateKey(readFileSync(join(__dirname, "../vectors/keys/client_private.pem")));

describeUnless(`keys${unreadable === undefined ? "" : ` (skipped: ${unreadable})`}`, () => {
  test("show leaves nothing of a private key's file, when it is done", async () => {
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    await start(["keys", "show", file("shown.pem", pem)], fullOutput);
    await watched!.waitsForOutput();
    expect(await memory(keyFilePatterns(privateKey))).toEqual(new Set());
    await searchDump(keyFilePatterns(privateKey));
  });

  test("check leaves nothing of key and password, when it is done", async () => {
    const password = secretText(40);
    const dir = join(folder, "checked");
    mkdirSync(dir, { mode: 0o700 });
    const pem = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: password });
    file("checked/private_key.pem", pem);
    const secrets = { ...keyFilePatterns(privateKey), ...textPatterns("password", password) };
    await start(["keys", "check", "--dir", dir, "--password-file", file("password", `${password}\n`)], fullOutput);
    await watched!.waitsForOutput();
    expect(await memory(secrets)).toEqual(new Set());
    await searchDump(secrets);
  });

  test("a password from a file is in the pool alone while the key is being opened", async () => {
    const password = secretText(40);
    const secrets = textPatterns("password", password);
    await start(["keys", "show", file("slow.pem", slowKeyFile()), "--password-file", file("slow password", password)]);
    await untilInPool(secrets, ["password (UTF-8)"]);
    await searchDump(secrets);
  });

  test("a password typed at a terminal is in the pool alone", async () => {
    const password = secretText(40);
    const secrets = textPatterns("password", password);
    await start(["keys", "generate", "--dir", join(folder, "none"), "--ask-password"], onTerminal);
    await watched!.until(/Password: $/);
    watched!.child.stdin.write(`${password}\n`);
    // The second question is asked while the first answer is kept.
    await watched!.until(/Again: $/);
    expect(watched!.output).not.toContain(password);
    expect(await memory(secrets)).toContain("password (UTF-8)");
    await searchDump(secrets);
  });
});

describeUnless(`chat${unreadable === undefined ? "" : ` (skipped: ${unreadable})`}`, () => {
  test("has a prompt from stdin in the pool alone, while the pipe is open and until the answer comes", async () => {
    const router: LocalRouter = await startLocalRouter({ args: ["--echo-delay", "600000", "--stop-timeout", "0"] });
    try {
      // More than the first buffer holds, so that it grows.
      const prompt = secretText(100_000);
      const secrets = textPatterns("prompt", prompt);
      await start(["chat", "--base-url", router.url, "--allow-http", "--quiet"]);
      watched!.child.stdin.write(prompt);
      for (;;) {
        const { hits } = await watched!.scan(secrets);
        const found = hits.filter(({ inPool }) => inPool).reduce((bytes, hit) => bytes + hit.bytes, 0);
        expect(outsidePool({ hits })).toEqual([]);
        if (found >= prompt.length) break;
      }
      watched!.child.stdin.end();
      const underWay = async (): Promise<unknown> =>
        ((await (await fetch(`${router.url}/healthz`)).json()) as Record<string, unknown>)["requests_under_way"];
      while ((await underWay()) !== 1) await new Promise((resolve) => setTimeout(resolve, 20));
      await memory(secrets);
      await searchDump(secrets);
    } finally {
      await router.stop();
    }
  });

  describe("before a model whose answer waits", () => {
    let exchange: HeldExchange;
    beforeAll(async () => {
      exchange = await HeldExchange.start();
    });
    afterAll(() => exchange.stop());
    beforeEach(() => exchange.reset());
    const connection = () => ["--base-url", exchange.baseUrl, "--allow-http", "--pin", exchange.keySha256];

    test("has key file, password, and all of a conversation at a terminal in the pool alone", async () => {
      const password = secretText(40);
      const dir = join(folder, "conversation");
      mkdirSync(dir, { mode: 0o700 });
      const pem = privateKey.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: password });
      file("conversation/private_key.pem", pem);
      // A terminal gives at most 4 095 bytes at a time. Blanks in it: a line is looked at for commands.
      const [first, second] = [0, 1].map(() => Array.from({ length: 40 }, () => secretText(40)).join(" ")) as [
        string,
        string,
      ];
      const [answer, next] = [secretText(20_000), secretText(20_000, "unicode")];
      const secrets = {
        ...keyFilePatterns(privateKey),
        ...textPatterns("password", password),
        ...textPatterns("first prompt", first),
        ...textPatterns("second prompt", second),
        ...textPatterns("first answer", answer),
        ...textPatterns("second answer", next),
      };
      const keyOptions = ["--key-dir", dir, "--key-password-file", file("chat password", password)];
      await start(["chat", ...connection(), ...keyOptions], onTerminal);
      await watched!.until(/> $/);
      watched!.child.stdin.write(`${first}\n`);
      await exchange.held;
      expect([...(await memory(secrets))]).toEqual(
        expect.arrayContaining(["first prompt (UTF-8)", "key's p (limbs)", "password (UTF-8)"]),
      );
      exchange.release(answer);
      await watched!.until(/\] *\r\n[^>]+\r\n> $/);
      expect(watched!.output).toContain(answer);
      expect([...(await memory(secrets))]).toEqual(
        expect.arrayContaining(["first prompt (UTF-8)", "first answer (UTF-8)"]),
      );
      exchange.reset();
      watched!.child.stdin.write(`${second}\n`);
      expect(await exchange.held).toContain(answer);
      expect([...(await memory(secrets))]).toEqual(
        expect.arrayContaining(["first prompt (UTF-8)", "first answer (UTF-8)", "second prompt (UTF-8)"]),
      );
      exchange.release(next);
      const lines = next.split("\n");
      await watched!.until(new RegExp(`${lines.at(-1)!}\r\n> $`));
      expect(await memory(secrets)).toContain("second answer (UTF-8)");
      await searchDump(secrets);
    });

    test.each([1_000, 300_000])("has an answer of %d bytes that nobody takes in the pool alone", async (bytes) => {
      const [prompt, answer] = [secretText(1_000), secretText(bytes)];
      const secrets = { ...textPatterns("prompt", prompt), ...textPatterns("answer", answer) };
      await start(["chat", ...connection(), "--quiet"], fullOutput);
      watched!.child.stdin.end(prompt);
      await exchange.held;
      exchange.release(answer);
      await watched!.waitsForOutput();
      expect(await memory(secrets)).toContain("answer (UTF-8)");
      await searchDump(secrets);
    });
  });
});

/**
 * The PEM of an encrypted key whose password is hashed as often as is allowed, a hundred million times, before anything
 * else is known of it (RFC 8018, A.4).
 */
function slowKeyFile(): string {
  const der = (tag: number, ...parts: Buffer[]): Buffer => {
    const content = Buffer.concat(parts);
    const length = content.length;
    return Buffer.concat([
      Buffer.from(length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff]),
      content,
    ]);
  };
  const oid = (hex: string) => der(0x06, Buffer.from(hex, "hex"));
  const hmacSha256 = der(0x30, oid("2a864886f70d0209"), der(0x05));
  const iterations = der(0x02, Buffer.from("05f5e100", "hex"));
  const pbkdf2 = der(0x30, oid("2a864886f70d01050c"), der(0x30, der(0x04, randomBytes(16)), iterations, hmacSha256));
  const aes256cbc = der(0x30, oid("60864801650304012a"), der(0x04, randomBytes(16)));
  const pbes2 = der(0x30, oid("2a864886f70d01050d"), der(0x30, pbkdf2, aes256cbc));
  const base64 = der(0x30, pbes2, der(0x04, randomBytes(2_384))).toString("base64");
  const lines = Array.from({ length: Math.ceil(base64.length / 64) }, (_, at) => base64.slice(64 * at, 64 * at + 64));
  return ["-----BEGIN ENCRYPTED PRIVATE KEY-----", ...lines, "-----END ENCRYPTED PRIVATE KEY-----", ""].join("\n");
}
