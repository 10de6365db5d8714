/**
 * Long strings of an answer keep their characters outside V8's heap: they go when the string goes, and with their
 * environment.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { quickKey } from "../../support/client-key.js";
import { scanProcess, whyNotReadable } from "../../support/memory-scan.js";
import { nodeSeal } from "../../support/node-package.js";
import { textPatterns } from "../../support/secret-patterns.js";
import { Subject } from "../../support/subject.js";

jest.setTimeout(120_000);

const unreadable = whyNotReadable();
const whenReadable = unreadable === undefined ? test : test.skip;

const kinds = [
  ["ASCII, 100 KB", "plain text ", 100_000],
  ["ASCII, 3 MB", "plain text ", 3_000_000],
  ["with escapes, 3 MB", 'a "quoted"\nline ', 3_000_000],
  ["Latin-1, 3 MB", "größer als ", 3_000_000],
  ["UTF-16, 100 KB", "漢字😀 ", 100_000],
  ["UTF-16, 3 MB", "漢字😀 ", 3_000_000],
] as const;

describe("a long string of an answer", () => {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-long-"));
  const file = (name: string, content: string | Buffer) => {
    const path = join(folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  let subject: Subject;
  beforeEach(async () => {
    subject = await Subject.start(join(__dirname, "long-strings.cjs"));
  });
  afterEach(() => subject.kill());
  afterAll(() => rmSync(folder, { recursive: true }));

  const packageOf = async (unit: string, length: number, mark: string) => {
    const key = await quickKey();
    const content = mark + unit.repeat(length / unit.length) + mark;
    return {
      length: content.length,
      files: {
        keyFile: file("key.pem", key.privatePem),
        bodyFile: file("body.json", nodeSeal(key.publicPem, JSON.stringify({ content }))),
      },
    };
  };

  whenReadable.each(kinds)("is wiped when it has been collected: %s", async (_name, unit, length) => {
    const mark = randomBytes(24).toString("base64url");
    const answer = await packageOf(unit, length, mark);
    const find = async () => (await scanProcess(subject.pid, textPatterns("mark", mark))).hits.length;
    expect(await subject.call("hold", answer.files)).toBe(answer.length);
    expect(await find()).toBeGreaterThanOrEqual(2);
    await subject.call("letGo");
    expect(await find()).toBe(0);
  });

  whenReadable.each(kinds)("is wiped when its worker has ended or was terminated: %s", async (_name, unit, length) => {
    const mark = randomBytes(24).toString("base64url");
    const { files } = await packageOf(unit, length, mark);
    for (const terminated of [false, true]) {
      expect(await subject.call("inWorker", { ...files, terminated })).toBe(true);
      expect((await scanProcess(subject.pid, textPatterns("mark", mark))).hits).toEqual([]);
    }
  });
});
