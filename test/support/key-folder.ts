/**
 * A client's key folder with a ready-made key, for tests that are not about making one: that takes a second or more.
 */
import { copyFileSync, chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface KeyFolder {
  readonly path: string;
  remove(): void;
}

export function makeKeyFolder(): KeyFolder {
  const path = mkdtempSync(join(tmpdir(), "nomyo-keys-"));
  const key = join(path, "private_key.pem");
  copyFileSync(join(__dirname, "../vectors/keys/client_private.pem"), key);
  chmodSync(key, 0o600); // a checkout does not keep it
  return { path, remove: () => rmSync(path, { recursive: true }) };
}
