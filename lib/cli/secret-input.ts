/**
 * Where a command reads secrets from: its standard input, by read(2) straight into the pool. Node's streams are not
 * used: their buffers are ordinary memory, and stay.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isatty } from "node:tty";
import { PoolBytes } from "../memory/pool-bytes.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { echoTyping } from "../memory/terminal.js";
import type { Locking } from "../native.js";
import { UsageError } from "./exit-code.js";

export interface LineOptions {
  readonly echo: boolean;
  readonly signal?: AbortSignal;
  readonly ask?: () => Promise<void>;
}

export interface SecretInput {
  readonly isTTY: boolean;
  /** All of it; a {@link UsageError} over `maxBytes`. */
  all(maxBytes: number, locking: Locking): Promise<SecureBuffer>;
  /**
   * The next line without its end, as it was typed at a terminal; `undefined` at the end of the input. Without `echo`
   * the terminal does not show what is typed. `signal` ends the waiting: then it is `undefined` too. `ask` shows the
   * question when the echo is off already: what is typed at once must be neither shown nor lost.
   */
  line(locking: Locking, options: LineOptions): Promise<SecureBuffer | undefined>;
}

const FIRST_BYTES = 64 * 1024;
/** How long a person or a pipe waits at most until it is noticed. */
const POLL_MS = 20;

export class DescriptorInput implements SecretInput {
  readonly #fd: number;
  readonly isTTY: boolean;

  constructor(fd: number) {
    this.#fd = fd;
    this.isTTY = isatty(fd);
  }

  async all(maxBytes: number, locking: Locking): Promise<SecureBuffer> {
    return await this.#read(locking, maxBytes, () => false, undefined);
  }

  async line(locking: Locking, { echo, signal, ask }: LineOptions): Promise<SecureBuffer | undefined> {
    // The kernel's line discipline does the editing, and gives one line for each read: it has at most 4 095 bytes.
    if (!echo) echoTyping(this.#fd, false);
    let line: SecureBuffer;
    try {
      await ask?.();
      line = await this.#read(locking, FIRST_BYTES, (bytes) => bytes.at(-1) === 0x0a, signal);
    } finally {
      // Node restores the terminal itself when a signal ends the process.
      if (!echo) echoTyping(this.#fd, true);
    }
    if (line.length > 0 && signal?.aborted !== true) return withoutLineEnd(line);
    line.dispose();
    return undefined;
  }

  async #read(
    locking: Locking,
    maxBytes: number,
    isWhole: (bytes: Uint8Array) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<SecureBuffer> {
    // One more than is allowed: by it the limit is seen to be passed.
    const most = maxBytes + 1;
    const bytes = new PoolBytes(locking, Math.min(FIRST_BYTES, most));
    try {
      while (signal?.aborted !== true) {
        if (bytes.length > maxBytes) throw tooMuch(maxBytes);
        const got = bytes.readFrom(this.#fd, most);
        if (got === 0) break;
        if (got < 0) await sleep(POLL_MS);
        else if (bytes.use(isWhole)) break;
      }
      return bytes.release();
    } catch (error) {
      bytes.dispose();
      throw error;
    }
  }
}

export function tooMuch(maxBytes: number): UsageError {
  return new UsageError(`What comes on stdin is larger than ${maxBytes} bytes.`);
}

/** Cuts a line's end off, in place. */
export function withoutLineEnd(secret: SecureBuffer): SecureBuffer {
  const length = secret.use((view) => {
    let end = view.length;
    if (end > 0 && view[end - 1] === 0x0a) {
      end -= 1;
      if (end > 0 && view[end - 1] === 0x0d) end -= 1;
    }
    return end;
  });
  secret.truncate(length);
  return secret;
}
