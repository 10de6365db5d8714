/** Clients for tests: with a key from a file, so that a test does not wait for its generation; closed together. */
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { SecureChatCompletion } from "../../lib/client/secure-chat-completion.js";
import type { ClientOptions } from "../../lib/client/options.js";

export const keyVectors = join(__dirname, "..", "vectors", "keys");

/** A folder with the key of the vectors, with the modes that a checkout loses. The caller removes it. */
export function vectorKeyDir(): string {
  const folder = mkdtempSync(join(tmpdir(), "client-keys-"));
  copyFileSync(join(keyVectors, "client_private.pem"), join(folder, "private_key.pem"));
  copyFileSync(join(keyVectors, "client_public.pem"), join(folder, "public_key.pem"));
  chmodSync(join(folder, "private_key.pem"), 0o600);
  return folder;
}

export class TestClients {
  readonly keyDir = vectorKeyDir();
  readonly #made: AsyncDisposable[] = [];

  make(options: ClientOptions): SecureChatCompletion {
    return this.add(
      new SecureChatCompletion({ allowHttp: true, keyDir: this.keyDir, keyRotationInterval: 0, ...options }),
    );
  }

  add<T extends AsyncDisposable>(client: T): T {
    this.#made.push(client);
    return client;
  }

  /** Closes all clients made so far. */
  async close(): Promise<void> {
    for (const client of this.#made.splice(0)) await client[Symbol.asyncDispose]();
  }

  removeKeys(): void {
    rmSync(this.keyDir, { recursive: true });
  }
}
