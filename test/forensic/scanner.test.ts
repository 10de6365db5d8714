/** What the forensic test rests on: the scanner finds what is there, wherever it is, and the patterns are what keys look like. */
import { spawn } from "node:child_process";
import { createPrivateKey, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { aesKeySchedule } from "../support/aes-key-schedule.js";
import { scanProcess, whyNotReadable } from "../support/memory-scan.js";
import { rsaKeyPatterns, textPatterns } from "../support/secret-patterns.js";

const unreadable = whyNotReadable();
const whenReadable = unreadable === undefined ? describe : describe.skip;

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
      const pieces = patterns[number]!;
      expect(pieces).toHaveLength(number.includes(" d ") ? 32 : 16);
      const bytes = pieces.join("");
      const asWritten = number.endsWith("(bytes)") ? bytes : Buffer.from(bytes, "hex").reverse().toString("hex");
      expect(der).toContain(asWritten);
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
      `const bytes = require("node:fs").readFileSync(process.argv[1]); ${code}; setInterval(() => {}, 1e6); console.log("ready");`,
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

  test("finds a piece at every alignment, across its own block boundaries, and says where", async () => {
    const marks = Array.from({ length: 64 }, () => randomBytes(16));
    // Over 16 MiB, so that the scanner's blocks end inside; the pieces lie 131 071 bytes apart, at every offset modulo 64.
    const content = Buffer.alloc(64 * 262_147 + 64);
    marks.forEach((mark, i) => mark.copy(content, i * 262_147));
    const scan = await holding(content, "globalThis.kept = bytes", (pid) =>
      scanProcess(pid, Object.fromEntries(marks.map((mark, i) => [`mark ${i}`, [mark.toString("hex")]]))),
    );
    expect(new Set(scan.hits.map(({ name }) => name)).size).toBe(marks.length);
    for (const { place, inPool } of scan.hits) {
      expect(place).toMatch(/^[0-9a-f]+-[0-9a-f]+ rw-p/);
      expect(inPool).toBe(false);
    }
  });

  test("finds a JavaScript string as UTF-8 and as UTF-16, and nothing that is not there", async () => {
    const [narrow, wide, absent] = [0, 1, 2].map(() => randomBytes(24).toString("base64url")) as [
      string,
      string,
      string,
    ];
    const scan = await holding(
      Buffer.from(`${narrow}${wide}`),
      "globalThis.narrow = bytes.toString('latin1', 0, 32); globalThis.wide = '→' + bytes.toString('latin1', 32); globalThis.wide.charCodeAt(5); bytes.fill(0)",
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

  test("refuses a piece so short that it would be found by chance", async () => {
    await expect(scanProcess(process.ppid, { short: ["00112233"] })).rejects.toThrow("fewer than 16 bytes");
  });
});
