/**
 * What passes through `SecureBuffer` is not left in the processor's registers, whether the call succeeds or throws. A core dump is searched,
 * which has those of all threads; that the search finds what is there, scanner.test.ts shows.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { buildPackage } from "../support/built-package.js";
import type { Patterns } from "../support/memory-scan.js";
import { WatchedProcess } from "../support/watched-process.js";

jest.setTimeout(240_000);

const whenLinux = process.platform === "linux" ? test : test.skip;
const cases = ["from", "equals", "toString", "toString throws", "from throws"];

let watched: WatchedProcess | undefined;
beforeAll(buildPackage);
afterEach(async () => {
  await watched?.end();
});

whenLinux("nothing of a secret is in a register after from, equals and toString, nor after they threw", async () => {
  // 1024 characters of ASCII, random throughout: long enough for the registers that only larger copies use.
  const secrets = cases.map(() => Buffer.from(randomBytes(768).toString("base64url")));
  watched = await WatchedProcess.start([join(__dirname, "registers-subject.cjs"), secrets.join("")]);
  await watched.until(/ready|failed.*/);
  expect(watched.output).toBe("ready\n");
  const patterns: Patterns = Object.fromEntries(
    cases.map((name, i) => [
      name,
      [
        { bytes: secrets[i]!, fragment: 12 },
        { bytes: Buffer.from(secrets[i]!.toString(), "utf16le"), fragment: 24 },
      ],
    ]),
  );
  const { hits, registers } = await watched.dump(patterns);
  expect(hits.filter(({ place }) => place.includes("registers"))).toEqual([]);
  expect(registers.vector).toBeGreaterThan(cases.length);
  // Each thread kept a copy of its secret on its heap: the dump has been looked at.
  expect(new Set(hits.map(({ name }) => name))).toEqual(new Set(cases));
});
