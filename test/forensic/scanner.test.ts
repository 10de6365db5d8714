/**
 * What the forensic test rests on: the scanner finds what is there, wherever it is, and the patterns are what keys look
 * like.
 */
import { spawn } from "node:child_process";
import { createPrivateKey, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { aesKeySchedule } from "../support/aes-key-schedule.js";
import { scanFiles, scanProcess, whyNotReadable } from "../support/memory-scan.js";
import type { Pattern } from "../support/memory-scan.js";
import { rsaKeyPatterns, secretText, textPatterns } from "../support/secret-patterns.js";
import { WatchedProcess } from "../support/watched-process.js";

const unreadable = whyNotReadable();
const whenReadable = unreadable === undefined ? describe : describe.skip;

const pattern = (bytes: Buffer): Pattern => ({ bytes, fragment: 12 });

describe("patterns", () => {
  test("the key expansion gives the words of FIPS 197, A.3, and of A.1", () => {
    const schedule = (key: string) => aesKeySchedule(Buffer.from(key, "hex")).toString("hex");
    const aes256 = schedule("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    expect(aes256).toHaveLength(480);
    expect(aes256.slice(64, 160)).toBe(
      "9ba354118e6925afa51a8b5f2067fcdea8b09c1a93d194cdbe49846eb75d5b9ad59aecb85bf3c917fee94248de8ebe96",
    );
    expect(aes256.slice(-32)).toBe("fe4890d1e6188d0b046df344706c631e");
    expect(schedule("2b7e151628aed2a6abf7158809cf4f3c").slice(-32)).toBe("d014f9a8c9ee2589e13f0cc8b6630ca6");
  });

  test("the numbers of an RSA key are those in its PKCS#1 encoding", () => {
    // A fixed key: one number in some hundred is a byte shorter than usual.
    const pem = readFileSync(join(__dirname, "../vectors/keys/client_private_pkcs1.pem"), "utf8");
    const der = Buffer.from(pem.replace(/-----.*-----|\s/g, ""), "base64").toString("hex");
    const patterns = rsaKeyPatterns("key", createPrivateKey(pem));
    const numbers = Object.keys(patterns);
    expect(numbers).toEqual(
      ["p", "q", "d", "dP", "dQ", "qInv"].flatMap((n) => [`key's ${n} (bytes)`, `key's ${n} (limbs)`]),
    );
    for (const number of numbers) {
      const [pattern, ...others] = patterns[number]!;
      expect(others).toEqual([]);
      const bytes = Buffer.from(pattern!.bytes);
      expect(bytes).toHaveLength(number.includes(" d ") ? 512 : 256);
      expect(der).toContain((number.endsWith("(bytes)") ? bytes : bytes.reverse()).toString("hex"));
    }
  });
});

whenReadable(`the scanner${unreadable === undefined ? "" : ` (skipped: ${unreadable})`}`, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "nomyo-scan-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A process that holds the bytes of `file` as `code` puts them, with `bytes` bound to them. */
  async function holding<T>(content: Buffer, code: string, look: (pid: number) => Promise<T>): Promise<T> {
    const file = join(folder, "content");
    writeFileSync(file, content);
    const child = spawn(process.execPath, [
      "-e",
      `const bytes = require("node:fs").readFileSync(process.argv[1]); ${code}; setInterval(() => {}, 1e6); ` +
        `console.log("ready");`,
      file,
    ]);
    try {
      await new Promise<void>((resolve, reject) => {
        child.once("exit", () => reject(new Error("the child ended")));
        child.stdout.once("data", () => resolve());
      });
      return await look(child.pid!);
    } finally {
      child.kill();
    }
  }

  test.each([
    ["small patterns", 0],
    ["large ones", 5 << 20],
  ])(
    "finds any 12 bytes of %s at every alignment, across its own block boundaries, and says where",
    async (_, more) => {
      const marks = Array.from({ length: 64 }, () => randomBytes(40));
      // Over 16 MiB, so that the scanner's blocks end inside; what is left of the marks lies at every offset modulo 64,
      // and is another part of each.
      const content = Buffer.alloc(64 * 262_147 + 64);
      marks.forEach((mark, i) => mark.copy(content, i * 262_147, i % 29, (i % 29) + 12));
      const scan = await holding(content, "globalThis.kept = bytes", (pid) =>
        scanProcess(pid, {
          ...Object.fromEntries(marks.map((mark, i) => [`mark ${i}`, [pattern(mark)]])),
          ...(more > 0 && { more: [pattern(randomBytes(more))] }),
        }),
      );
      expect(new Set(scan.hits.map(({ name }) => name)).size).toBe(marks.length);
      for (const { place, inPool, bytes } of scan.hits) {
        expect(place).toMatch(/^[0-9a-f]+-[0-9a-f]+ rw-p/);
        expect(inPool).toBe(false);
        // More where what lies next to it is the next byte of the mark by chance.
        expect(bytes).toBeGreaterThanOrEqual(12);
      }
    },
  );

  test("tells once of what stands together, however long, and not of 11 bytes", async () => {
    const secret = Buffer.from(secretText(1_500_000, "ascii"));
    const content = join(folder, "file");
    const other = randomBytes(64);
    // The 11 bytes end where others begin, and none of those is by chance what it was in the secret.
    const [before, after] = [other[6]!, other[18]!].map((byte) => Buffer.alloc(9, byte ^ 0x80)) as [Buffer, Buffer];
    before[0] = 0xff;
    writeFileSync(
      content,
      Buffer.concat([Buffer.alloc(5, 0xff), secret.subarray(3), before, other.subarray(7, 18), after]),
    );
    const { hits } = await scanFiles([content], { secret: [pattern(secret)], other: [pattern(other)] });
    expect(hits).toEqual([{ name: "secret", bytes: secret.length - 3, place: content, address: "5", inPool: false }]);
  });

  test("finds a JavaScript string as UTF-8 and as UTF-16, and nothing that is not there", async () => {
    const [narrow, wide, absent] = [0, 1, 2].map(() => randomBytes(24).toString("base64url")) as [
      string,
      string,
      string,
    ];
    const scan = await holding(
      Buffer.from(`${narrow}${wide}`),
      "globalThis.narrow = bytes.toString('latin1', 0, 32); globalThis.wide = '→' + bytes.toString('latin1', 32); " +
        "globalThis.wide.charCodeAt(5); bytes.fill(0)",
      (pid) =>
        scanProcess(pid, {
          ...textPatterns("narrow", narrow),
          ...textPatterns("wide", wide),
          ...textPatterns("absent", absent),
        }),
    );
    const names = new Set(scan.hits.map(({ name }) => name));
    expect(names).toContain("narrow (UTF-8)");
    expect(names).toContain("wide (UTF-16)");
    expect(names).not.toContain("absent (UTF-8)");
    expect(names).not.toContain("absent (UTF-16)");
  });

  test("finds what stands in the middle of memory that is reserved and else unused, which is not read", async () => {
    const reserved = 1 << 28;
    const secret = randomBytes(40);
    const scan = await holding(
      secret,
      `globalThis.kept = Buffer.allocUnsafeSlow(${reserved}); bytes.copy(kept, ${reserved / 2 - 20}); bytes.fill(0)`,
      (pid) => scanProcess(pid, { secret: [pattern(secret)] }),
    );
    // It spans two pages.
    expect(scan.hits.map(({ bytes }) => bytes)).toContain(40);
    expect(scan.bytesRead).toBeLessThan(reserved);
  });

  test("refuses what would be found by chance, and what repeats itself", async () => {
    const look = (bytes: Buffer, fragment: number) => scanProcess(process.ppid, { it: [{ bytes, fragment }] });
    await expect(look(randomBytes(40), 11)).rejects.toThrow("fewer than 12 bytes");
    await expect(look(randomBytes(11), 12)).rejects.toThrow("shorter than one fragment");
    await expect(look(Buffer.from("some text, ".repeat(100)), 12)).rejects.toThrow("repeats itself");
  });
});

whenReadable("a watched process", () => {
  let watched: WatchedProcess;
  afterEach(() => watched.end());

  test("is searched in its memory, its heap snapshot and its diagnostic report", async () => {
    const [heap, buffer, environment] = [secretText(40), secretText(40), secretText(40)];
    const script = `process.stdin.once("data", (bytes) => {
      globalThis.kept = [bytes.toString("latin1", 0, 43), Buffer.from(bytes.subarray(43))];
      bytes.fill(0);
      console.log("ready");
    })`;
    watched = await WatchedProcess.start(["-e", script], { env: { NOT_FOR_YOU: environment } });
    watched.child.stdin.write(heap + buffer);
    await watched.until(/ready/);
    const { hits } = await watched.scan({
      ...textPatterns("heap", heap),
      ...textPatterns("buffer", buffer),
      ...textPatterns("environment", environment),
    });
    const at = (what: string) =>
      new Set(
        hits
          .filter(({ name }) => name === `${what} (UTF-8)`)
          .map(({ place }) => /\.(json|heapsnapshot)$/.exec(place)?.[1] ?? "memory"),
      );
    expect(at("heap")).toEqual(new Set(["memory", "heapsnapshot"]));
    expect(at("buffer")).toEqual(new Set(["memory"]));
    expect(at("environment")).toEqual(new Set(["memory", "json"]));
  });

  test("has its registers searched, those of every thread", async () => {
    // Compiled by the optimising compiler alone (--no-liftoff): the other one may keep parameters on the stack.
    // Each thread runs a loop of WebAssembly that stores its parameters again and again, so they never leave their
    // registers: a general one of 8 bytes, and a vector of 16. In memory, the module splits them with what it stores
    // between.
    const script = `
      const { Worker, isMainThread, workerData } = require("node:worker_threads");
      // (module (import "e" "m" (memory 1 1 shared)) (func (export "f") (param i64 i64 i64) (local v128)
      //   local.get 1; i64x2.splat; local.get 2; i64x2.replace_lane 1; local.set 3
      //   loop  i32.const 0; local.get 0; i64.const 0; ...store  br 0 end))
      const body = [
        1, 1, 0x7b, 0x20, 1, 0xfd, 18, 0x20, 2, 0xfd, 30, 1, 0x21, 3,
        0x03, 0x40,
        0x41, 0, 0x20, 0, 0x37, 3, 0,
        0x41, 16, 0x20, 3, 0xfd, 11, 4, 0,
        0x0c, 0, 0x0b, 0x0b,
      ];
      const code = [1, body.length, ...body];
      const loop = new WebAssembly.Module(Uint8Array.from([
        0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
        1, 7, 1, 0x60, 3, 0x7e, 0x7e, 0x7e, 0,
        2, 9, 1, 1, 0x65, 1, 0x6d, 2, 3, 1, 1,
        3, 2, 1, 0,
        7, 5, 1, 1, 0x66, 0, 0,
        10, code.length, ...code,
      ]));
      if (isMainThread) {
        process.stdin.once("data", (bytes) => {
          process.stdin.pause();
          const memories = [bytes.subarray(0, 24), bytes.subarray(24, 48)].map((part) => {
            const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
            new Worker(__filename, { workerData: { memory, hex: part.toString("hex") } });
            return new Uint8Array(memory.buffer);
          });
          // What a loop has stored shows that it runs.
          const timer = setInterval(() => {
            if (!memories.every((memory) => memory.subarray(16, 32).some((byte) => byte !== 0))) return;
            clearInterval(timer);
            console.log("ready");
          }, 10);
        });
      } else {
        const words = Buffer.from(workerData.hex, "hex");
        const instance = new WebAssembly.Instance(loop, { e: { m: workerData.memory } });
        instance.exports.f(...[0, 8, 16].map((at) => words.readBigInt64LE(at)));
      }`;
    const file = join(mkdtempSync(join(tmpdir(), "nomyo-registers-")), "loop.cjs");
    writeFileSync(file, script);
    watched = await WatchedProcess.start(["--no-liftoff", file]);
    const secret = randomBytes(48);
    watched.child.stdin.write(secret);
    await watched.until(/ready/);
    const part = (at: number, size: number) => {
      // Longer than what is in the register, as a secret is.
      return [pattern(Buffer.concat([randomBytes(8), secret.subarray(at, at + size), randomBytes(8)]))];
    };
    const { hits, registers } = await watched.dump({
      "word of one thread": part(0, 8),
      "vector of one thread": part(8, 16),
      "word of another thread": part(24, 8),
      "vector of another thread": part(32, 16),
    });
    rmSync(file);
    const places = (name: string) =>
      hits.filter((hit) => hit.name === name && hit.place.includes("registers")).map(({ place }) => place);
    for (const thread of ["one", "another"]) {
      expect(places(`word of ${thread} thread`).join()).toMatch(/thread \d+, general registers/);
      expect(places(`vector of ${thread} thread`).join()).toMatch(/thread \d+, vector registers/);
    }
    expect(registers.general).toBeGreaterThan(6);
  });
});
