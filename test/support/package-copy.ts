/** The built package and the test subjects where any account can read them. */
import { chmodSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(__dirname, "../..");

export interface PackageCopy {
  /** Where a file of the repository is in the copy, e.g. `test/integration/memory/requests.cjs`. */
  path(file: string): string;
  /** The Node that runs the tests, where any account can run it. */
  readonly node: string;
  remove(): void;
}

/** Copies what subjects need: a checkout in a home folder is closed to other accounts. */
export function copyPackage(...subjects: string[]): PackageCopy {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-copy-"));
  chmodSync(folder, 0o755);
  const parts = [
    "package.json",
    "dist",
    "build/Release/nomyo_native.node",
    "test/support/answer-calls.cjs",
    "test/support/settled-pool.cjs",
  ];
  for (const part of [...parts, ...subjects]) {
    cpSync(join(root, part), join(folder, part), { recursive: true });
  }
  const node = join(folder, "node");
  cpSync(process.execPath, node, { dereference: true });
  return { node, path: (file) => join(folder, file), remove: () => rmSync(folder, { recursive: true }) };
}
