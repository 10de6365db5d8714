import { mkdirSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { ConfigurationError } from "../errors.js";
import { writeFileAtomically } from "./atomic-file.js";

const header = "# Keys of servers, one a line: base URL, SHA-256 of the key's SubjectPublicKeyInfo in hex.\n";

/**
 * The keys of servers seen before, in a file, like OpenSSH's `known_hosts`. One line for each base URL. Written whole and atomically,
 * mode 0600; read anew each time, so that what another process has learned counts too.
 */
export class KnownServersFile {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** The fingerprint remembered for `base` and the number of its line, or undefined. */
  find(base: string): { readonly fingerprint: string; readonly line: number } | undefined {
    return this.#read().find((entry) => entry.base === base);
  }

  /** Remembers a key. There must be none for this server yet: a known key is only ever replaced by a person. */
  add(base: string, fingerprint: string): void {
    const entries = this.#read();
    if (entries.some((entry) => entry.base === base)) throw new Error("This server is already known.");
    const lines = [...entries, { base, fingerprint }].map((entry) => `${entry.base} sha256:${entry.fingerprint}\n`);
    mkdirSync(dirname(this.path), { recursive: true, mode: 0o700 });
    writeFileAtomically(this.path, Buffer.from(header + lines.join("")), 0o600, true);
  }

  #read(): { base: string; fingerprint: string; line: number }[] {
    let text: string;
    try {
      text = readFileSync(this.path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw new ConfigurationError(
        "serverKey.knownServersFile",
        `${this.path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"}). Without it a changed server key would go unnoticed.`,
      );
    }
    return text.split("\n").flatMap((content, index) => {
      if (content.trim() === "" || content.startsWith("#")) return [];
      const match = /^(\S+) sha256:([0-9a-f]{64})$/.exec(content.trimEnd());
      // A line that is not understood might be the one that should have protected this server.
      if (match?.[1] === undefined || match[2] === undefined) {
        throw new ConfigurationError(
          "serverKey.knownServersFile",
          `Line ${index + 1} of ${this.path} is not "URL sha256:HEX". Correct or remove it.`,
        );
      }
      return [{ base: match[1], fingerprint: match[2], line: index + 1 }];
    });
  }
}
