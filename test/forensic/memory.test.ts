/**
 * The proof that no secret stands in memory which is not the pool's: a client is stopped at three moments of a request,
 * and everything that root can read of it is searched for its secrets, and so are the diagnostic report and the heap
 * snapshot that it is made to write; then it is made to dump core, and the dump is searched, with the registers of all
 * its threads.
 *
 * The secrets are known from elsewhere: both AES keys are unwrapped here, with the router's key file and the client's,
 * whose numbers and passwords are known, and the texts are random.
 */
import { spawnSync } from "node:child_process";
import { constants, createPrivateKey, privateDecrypt, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dumpCore, dumpsCore } from "../support/core-dump.js";
import { HeldExchange } from "../support/held-exchange.js";
import type { SealedPackage } from "../support/held-exchange.js";
import { outsidePool, scanCore, scanFiles, scanProcess, whyNotReadable } from "../support/memory-scan.js";
import type { Patterns, Scan } from "../support/memory-scan.js";
import {
  aesKeyPatterns,
  keyFileKey,
  keystreamPatterns,
  rsaKeyPatterns,
  secretText,
  textPatterns,
} from "../support/secret-patterns.js";
import { circumstancesOf } from "../support/rounds.js";
import { Subject, withoutMemfdSecret } from "../support/subject.js";
import type { Circumstances } from "../support/subject.js";
import { askForReports, writesReports } from "../support/watched-process.js";

// Some seconds each on an idle machine; more where gdb has to make the core dump.
jest.setTimeout(240_000);

const phases = ["held", "answered", "disposed"] as const;
type Phase = (typeof phases)[number];

const keyFile = join(__dirname, "../vectors/keys/client_private.pem");
/** 32 characters that occur nowhere else. */
const marker = () => randomBytes(24).toString("base64url");
/**
 * Hundreds of KB, several of the sealer's buffers: one half with what JSON must escape and what Latin-1 lacks, the
 * other plain.
 */
const longText = () => secretText(200_000, "unicode") + secretText(100_000);

/** What must not be found of a package whose AES key is known. */
function packagePatterns(name: string, key: Buffer, { encrypted_payload: sealed }: SealedPackage): Patterns {
  const nonce = Buffer.from(sealed.nonce, "base64");
  const bytes = Buffer.from(sealed.ciphertext, "base64").length;
  return {
    ...aesKeyPatterns(`${name}'s AES key`, key),
    ...keystreamPatterns(`${name}'s AES key`, { key, nonce, bytes }),
  };
}

/** One run: a client process, its secrets, and what is found of them. */
class Run {
  readonly folder = mkdtempSync(join(tmpdir(), "nomyo-forensic-"));
  readonly password = marker();
  readonly prompt = longText();
  readonly answer = longText();
  /** No secret: put on the JavaScript heap on purpose. A scan that does not find it has not looked. */
  readonly beacon = marker();
  readonly keyDir = join(this.folder, "keys");
  readonly coreDir = join(this.folder, "core");
  readonly reportDir = join(this.folder, "reports");
  #subject: Subject | undefined;
  #requestKey: Buffer | undefined;

  constructor(readonly exchange: HeldExchange) {
    exchange.reset();
  }

  file(name: string, content: string): string {
    const path = join(this.folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }

  get subject(): Subject {
    return this.#subject!;
  }

  /** Starts the client, which loads a key file, or makes one. */
  async start(script: string, circumstances: Circumstances, key: "loaded" | "generated"): Promise<void> {
    mkdirSync(this.coreDir);
    mkdirSync(this.reportDir);
    mkdirSync(this.keyDir, { mode: 0o700 });
    if (key === "loaded") {
      const loaded = createPrivateKey(readFileSync(keyFile));
      const pem = loaded.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: this.password });
      writeFileSync(join(this.keyDir, "private_key.pem"), pem, { mode: 0o600 });
    }
    this.#subject = await Subject.start(join(__dirname, script), {
      circumstances: [...dumpsCore, ...circumstances],
      cwd: this.coreDir,
      env: writesReports(this.reportDir),
    });
    await this.subject.call("leak", { file: this.file("beacon", this.beacon) });
    await this.subject.call("connect", {
      baseUrl: this.exchange.baseUrl,
      keySha256: this.exchange.keySha256,
      keyDir: this.keyDir,
      passwordFile: this.file("password", this.password),
    });
  }

  async enter(phase: Phase): Promise<void> {
    if (phase === "held") {
      await this.subject.call("ask", { promptFile: this.file("prompt", this.prompt) });
      const request = JSON.parse(await this.exchange.held) as { messages: { content: string }[] };
      expect(request.messages.at(-1)!.content === this.prompt).toBe(true);
      this.#requestKey = this.exchange.requestAesKey();
    } else if (phase === "answered") {
      this.exchange.release(this.answer);
      const received = await this.subject.call("receive", { answerFile: this.file("answer", this.answer) });
      expect(received).toBe(Buffer.byteLength(this.answer));
    } else {
      await this.subject.call("close");
    }
  }

  /** All that is secret so far. */
  secrets(): Patterns {
    const pem = readFileSync(join(this.keyDir, "private_key.pem"), "utf8");
    const key = createPrivateKey({ key: pem, passphrase: this.password });
    const oaep = { key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
    const { request, answer } = this.exchange;
    return {
      ...textPatterns("password", this.password),
      ...textPatterns("prompt", this.prompt),
      ...textPatterns("answer", this.answer),
      ...rsaKeyPatterns("RSA key", key),
      ...aesKeyPatterns("key file's AES key", keyFileKey(pem, this.password)),
      ...(request === undefined ? {} : packagePatterns("request", this.#requestKey!, request)),
      ...(answer === undefined
        ? {}
        : packagePatterns("answer", privateDecrypt(oaep, Buffer.from(answer.encrypted_aes_key, "base64")), answer)),
    };
  }

  /** With the beacon, whose finding is checked here, and which is left out of the result. */
  async search<S extends Scan>(scan: (patterns: Patterns) => Promise<S>): Promise<S> {
    const found = await scan({ ...this.secrets(), beacon: textPatterns("beacon", this.beacon)["beacon (UTF-8)"]! });
    expect(found.hits.map(({ name }) => name)).toContain("beacon");
    return { ...found, hits: found.hits.filter(({ name }) => name !== "beacon") };
  }

  readonly searchMemory = () => this.search((patterns) => scanProcess(this.subject.pid, patterns));
  /** A diagnostic report and a heap snapshot. */
  readonly searchReports = async () => {
    const files = await askForReports(this.subject.pid, this.reportDir);
    const found = await this.search((patterns) => scanFiles(files, patterns));
    for (const file of files) rmSync(file);
    return found;
  };
  readonly searchCore = async () => {
    const core = await dumpCore(this.subject, this.coreDir);
    return this.search((patterns) => scanCore(core, patterns));
  };

  async end(): Promise<void> {
    await this.#subject?.kill();
    rmSync(this.folder, { recursive: true });
  }
}

let exchange: HeldExchange | undefined;
let run: Run;
beforeAll(async () => {
  if (unreadable === undefined) exchange = await HeldExchange.start();
});
afterAll(() => exchange?.stop());
beforeEach(() => {
  run = new Run(exchange!);
});
afterEach(() => run.end());

const namesOf = ({ hits }: Pick<Scan, "hits">) => [...new Set(hits.map(({ name }) => name))].sort();

/** What stands in the way of each mechanism here; `undefined`: nothing. */
const unreadable = whyNotReadable();
const noMemfdSecret = () => {
  const call = spawnSync("/usr/bin/python3", [
    "-c",
    "import ctypes; raise SystemExit(ctypes.CDLL(None).syscall(447, 0) < 0)",
  ]);
  return call.status === 0 ? undefined : "this kernel or container has no memfd_secret(2)";
};
const describeUnless = (reason: string | undefined) => (reason === undefined ? describe : describe.skip);
const named = (name: string, reason: string | undefined) =>
  reason === undefined ? name : `${name} (skipped: ${reason})`;

const mechanisms = circumstancesOf([
  { mechanism: "memfd_secret", circumstances: [], reason: unreadable ?? noMemfdSecret() },
  { mechanism: "mlock", circumstances: withoutMemfdSecret, reason: unreadable },
] as const);

for (const { mechanism, circumstances, reason } of mechanisms) {
  describeUnless(reason)(named(`a client with ${mechanism}`, reason), () => {
    /** No secret outside the pool; with memfd_secret none at all, since nobody can read the pool. */
    async function searchMemoryIn(phase: Phase): Promise<void> {
      const info = await run.subject.call<{ mechanism: string; stats: { bytesLocked: number } }>("memory");
      expect(info.mechanism).toBe(mechanism);
      const scan = await run.searchMemory();
      expect(outsidePool(scan)).toEqual([]);
      // Everything was read but what cannot be: the pool, where it is secret, and the kernel's own page of clock
      // values.
      expect(scan.unreadable.filter(({ inPool, place }) => !inPool && !place.includes("[vvar"))).toEqual([]);
      // What counts as the pool is no more than what the package says it has locked.
      expect(scan.pool.every(({ kind }) => kind === mechanism)).toBe(true);
      expect(scan.pool.reduce((sum, { start, end }) => sum + end - start, 0)).toBe(info.stats.bytesLocked);
      if (mechanism === "memfd_secret" || phase === "disposed") {
        expect(scan.hits).toEqual([]);
      } else {
        // In the pool they must be found: this is what the search finds in this very process when something is there.
        expect(namesOf(scan)).toEqual(
          expect.arrayContaining(["prompt (UTF-8)", "password (UTF-8)", "RSA key's p (limbs)"]),
        );
        expect(namesOf(scan).includes("answer (UTF-8)")).toBe(phase === "answered");
      }
    }

    test.each(phases)("has no secret outside the pool, nor in a core dump, when it is %s", async (last) => {
      // The key is made by the client in the longest run, and loaded from a file in the others.
      await run.start("subject.cjs", circumstances, last === "disposed" ? "generated" : "loaded");
      for (const phase of phases.slice(0, phases.indexOf(last) + 1)) {
        await run.enter(phase);
        await searchMemoryIn(phase);
        expect((await run.searchReports()).hits).toEqual([]);
      }
      const core = await run.searchCore();
      expect(core.hits).toEqual([]);
      // Node's own threads and the package's, each with general and vector registers.
      expect(core.registers.general).toBeGreaterThan(4);
      expect(core.registers.vector).toBeGreaterThanOrEqual(core.registers.general);
    });
  });
}

describeUnless(unreadable)(named("the same search on Node's own crypto", unreadable), () => {
  test("finds every kind of secret in the process, and in its core dump", async () => {
    await run.start("node-crypto-subject.cjs", [], "loaded");
    await run.enter("held");
    const kinds = [
      "RSA key's d (limbs)",
      "RSA key's dP (limbs)",
      "RSA key's dQ (limbs)",
      "RSA key's p (limbs)",
      "RSA key's q (limbs)",
      "RSA key's qInv (limbs)",
      "password (UTF-8)",
      "prompt (UTF-16)",
      "prompt (UTF-8)",
      "request's AES key",
      // OpenSSL 3.0 keeps it as it is; 3.5, which Node has from 22.20 on, in tables only.
      ...(process.versions.openssl.startsWith("3.0.") ? ["request's AES key's GHASH key"] : []),
      "request's AES key's keystream",
      "request's AES key's schedule",
    ];
    const missingIn = ({ hits }: Pick<Scan, "hits">) => kinds.filter((kind) => !hits.some(({ name }) => name === kind));
    expect(missingIn(await run.searchMemory())).toEqual([]);
    await run.enter("answered");
    kinds.push("answer (UTF-16)", "answer (UTF-8)", "answer's AES key", "answer's AES key's schedule");
    expect(missingIn(await run.searchMemory())).toEqual([]);
    // A heap snapshot has the strings, and not what is in buffers.
    expect(namesOf(await run.searchReports())).toEqual(expect.arrayContaining(["answer (UTF-8)", "password (UTF-8)"]));
    expect(missingIn(await run.searchCore())).toEqual([]);
  });
});
