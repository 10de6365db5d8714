/** The file that remembers servers' keys across processes. */
import { closeSync, fstatSync, openSync, readFileSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

import { ConfigurationError } from "../errors.js";
import { systemReason } from "../system-reason.js";
import { accessAdvice } from "./access-advice.js";
import { removeLeftovers, writeFileAtomically } from "./atomic-file.js";
import { withFileLock } from "./file-lock.js";
import { makeFolder } from "./new-folder.js";

const HEADER = "# Keys of servers, one a line: base URL, SHA-256 of the key's SubjectPublicKeyInfo in hex.\n";
const OPTION = "serverKey.knownServersFile";

/** What the file says of one server. */
export interface KnownServer {
  readonly base: string;
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly fingerprint: string;
  /** The number of its line, from 1. */
  readonly line: number;
}

/**
 * The keys of servers seen before, in a file, like OpenSSH's `known_hosts`. One line for each base URL. Read anew each
 * time, so that what another process has learned counts too. Changed under a lock, whole and atomically, mode 0600: no
 * process loses what another one wrote, comments and symbolic links stay.
 */
export class KnownServersFile {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /**
   * Finds what keeps the file from being read, or from being made where it is not there: for whoever starts a service,
   * which learns its server's key later.
   */
  check(): void {
    entriesOf(this.#read(), this.path);
    try {
      makeFolder(dirname(this.path), 0o700);
    } catch (error) {
      throw this.#notWritten(error);
    }
  }

  /** What is remembered for `base`, or undefined. */
  find(base: string): KnownServer | undefined {
    return entriesOf(this.#read(), this.path).find((entry) => entry.base === base);
  }

  /**
   * Remembers a key, unless there is one for this server already: a known key is only ever replaced by a person.
   *
   * @returns what is remembered afterwards: another fingerprint when another process was faster with another key.
   */
  async remember(base: string, fingerprint: string): Promise<KnownServer> {
    try {
      makeFolder(dirname(this.path), 0o700);
      const target = this.#target();
      const lock = join(dirname(target), `.${basename(target)}.lock`);
      return await withFileLock(lock, OPTION, () => {
        const text = this.#read();
        const known = entriesOf(text, this.path).find((entry) => entry.base === base);
        if (known !== undefined) return known;
        removeLeftovers(target);
        const before = text === "" ? HEADER : text.endsWith("\n") ? text : `${text}\n`;
        writeFileAtomically(target, Buffer.from(`${before}${base} sha256:${fingerprint}\n`), 0o600, true);
        return { base, fingerprint, line: before.split("\n").length };
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
      throw this.#notWritten(error);
    }
  }

  #notWritten(error: unknown): ConfigurationError {
    return new ConfigurationError(
      OPTION,
      `${this.path} cannot be written (${systemReason(error)}). Without it the server's key would be trusted anew ` +
        "each time.",
    );
  }

  /** The file itself, where the path is a symbolic link to it. */
  #target(): string {
    try {
      return realpathSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return this.path;
      throw error;
    }
  }

  #read(): string {
    try {
      const file = openSync(this.path, "r");
      try {
        checkAccess(file, this.path);
        return readFileSync(file, "utf8");
      } finally {
        closeSync(file);
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
      throw new ConfigurationError(
        OPTION,
        `${this.path} cannot be read (${systemReason(error)}). Without it a changed ` +
          "server key would go unnoticed.",
      );
    }
  }
}

/** Whoever may write to the file decides which keys are trusted. It holds no secret: others may read it. */
function checkAccess(file: number, path: string): void {
  if (process.platform === "win32") return;
  const { mode, uid } = fstatSync(file);
  if ((mode & 0o022) !== 0) {
    throw new ConfigurationError(
      OPTION,
      `Others than its owner may change ${path}, and so which server keys are trusted. Look at what is in it, then: ` +
        `${accessAdvice(path, "chmod go-w", "run")}.`,
    );
  }
  if (uid !== 0 && uid !== process.geteuid?.()) {
    throw new ConfigurationError(
      OPTION,
      `${path} belongs to another account (uid ${uid}), which can change which server keys are trusted. Run as that ` +
        `account. ${accessAdvice(path, `chown ${process.geteuid?.()}`, "Or")}.`,
    );
  }
}

function entriesOf(text: string, path: string): KnownServer[] {
  return text.split("\n").flatMap((content, index) => {
    if (content.trim() === "" || content.startsWith("#")) return [];
    const match = /^(\S+) sha256:([0-9a-f]{64})$/.exec(content.trimEnd());
    // A line that is not understood might be the one that should have protected this server.
    if (match?.[1] === undefined || match[2] === undefined) {
      throw new ConfigurationError(
        OPTION,
        `Line ${index + 1} of ${path} is not "URL sha256:HEX". Correct or remove it.`,
      );
    }
    return [{ base: match[1], fingerprint: match[2], line: index + 1 }];
  });
}
