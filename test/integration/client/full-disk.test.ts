/**
 * A disk that is full while keys, known servers and receipts are written: an error that says so, nothing half
 * written, and later it works.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { buildPackage, runNode } from "../../support/built-package.js";
import { routerKeyFile } from "../../support/router-key.js";
import { vectorKeyDir } from "../../support/test-clients.js";

interface Tried {
  readonly full: string | { readonly name: string; readonly code: string; readonly message: string };
  readonly left: readonly string[];
  readonly then: unknown;
}

const possible = process.platform === "linux" && spawnSync("prlimit", ["--version"]).status === 0;
const keyFile = routerKeyFile();
const keyDir = vectorKeyDir();
let router: Router;
let folder: string;
beforeAll(async () => {
  buildPackage();
  router = await startRouter({ keyFile: keyFile.path });
});
afterAll(async () => {
  await router.close();
  keyFile.remove();
  rmSync(keyDir, { recursive: true });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "full-disk-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function tried(what: string): Promise<Tried[]> {
  const ended = await runNode([join(__dirname, "full-disk.cjs"), what, folder, router.url, keyDir]);
  expect([ended.code, ended.stderr]).toEqual([0, ""]);
  return JSON.parse(ended.stdout) as Tried[];
}
const filesIn = (where: string): string[] => readdirSync(where, { recursive: true }).map(String);

(possible ? describe : describe.skip)("where no file may grow", () => {
  test("a key that cannot be written is no key: none of it is left, and the next attempt writes it whole", async () => {
    const [only] = await tried("keys");
    expect(only!.full).toMatchObject({ name: "ConfigurationError", message: expect.stringMatching(/EFBIG/) });
    expect(only!.left.filter((name) => name.includes("private"))).toEqual([]);
    expect(only!.then).toBe("answer");
    expect(filesIn(join(folder, "keys")).sort()).toEqual(["private_key.pem", "public_key.pem"]);
    expect(statSync(join(folder, "keys", "private_key.pem")).mode & 0o777).toBe(0o600);
  });

  test("a server that cannot be remembered gets no prompt, until it can be", async () => {
    const [first, second] = await tried("known servers");
    expect(first!.full).toMatchObject({ name: "ConfigurationError", message: expect.stringMatching(/EFBIG/) });
    expect([first!.left, first!.then]).toEqual([[], "answer"]);
    // It is remembered by now: nothing is to be written.
    expect([second!.full, second!.then]).toEqual(["answer", "answer"]);
    expect(readFileSync(join(folder, "known"), "utf8")).toContain(router.publicKey.spkiSha256);
  });

  test("an answer whose receipt cannot be written is not given; the chain goes on where it was whole", async () => {
    for (const { full, then } of await tried("receipts")) {
      expect(full).toMatchObject({ message: expect.stringMatching(/EFBIG/) });
      expect(then).toBe("answer");
    }
    const lines = filesIn(folder)
      .filter((name) => name.endsWith(".jsonl"))
      .flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n").slice(0, -1));
    const sequences = lines.map((line) => (JSON.parse(line) as { chain: { sequence: number } }).chain.sequence);
    expect(sequences).toEqual(sequences.map((_, at) => at + 1));
  });
});
