/** Routers of tests share the vectors' RSA-4096 key: making one for each would take most of the tests' time. */
import { copyFileSync, chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const key = join(__dirname, "..", "vectors", "keys", "client_private.pem");

/** The path of a copy with mode 0600, which a checkout does not keep; `remove` takes it away. */
export function routerKeyFile(): { readonly path: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-router-key-"));
  const path = join(folder, "key.pem");
  copyFileSync(key, path);
  chmodSync(path, 0o600);
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
