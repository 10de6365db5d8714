/**
 * All output of the commands. Each write is checked: what is lost is no success. Text of others (servers, files) cannot
 * move a terminal's cursor, turn its text round or fake a prompt.
 */
import { fstatSync, writeSync } from "node:fs";
import type { Writable } from "node:stream";

/** A write failed: `code` is the system's, e.g. `ENOSPC`. */
export class OutputError extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`The output could not be written (${code}).`);
    this.code = code;
  }
}

type Sink = (bytes: Uint8Array) => Promise<void> | void;

export class Output {
  readonly isTTY: boolean;
  readonly columns: number | undefined;
  readonly #sink: Sink;
  #tail: Promise<void> = Promise.resolve();
  #failure: OutputError | undefined;

  constructor(stream: Writable & { readonly isTTY?: boolean; readonly columns?: number; readonly fd?: number }) {
    this.isTTY = stream.isTTY === true;
    this.columns = stream.columns;
    this.#sink = sinkOf(stream);
  }

  /** Plain text, made harmless; where it goes wrong, {@link flush} says so. */
  write(text: string): void {
    this.#enqueue(Buffer.from(harmless(text, "\ufffd")));
  }

  /**
   * The same of text that has colours of ours in it (`ESC [ n m`); text of others in it must be {@link harmless}
   * already.
   */
  writeStyled(text: string): void {
    const parts = text.split("\u001b[");
    const styled = parts.map((part, index) => {
      if (index === 0) return harmless(part, "\ufffd");
      const end = part.indexOf("m");
      const isColour = end > 0 && end <= 2 && isDigits(part.slice(0, end));
      return (isColour ? "\u001b[" : "\ufffd[") + harmless(part, "\ufffd");
    });
    this.#enqueue(Buffer.from(styled.join("")));
  }

  /**
   * Draws one line of ours at a terminal, in the place of the last one; the next {@link write} begins where it ends, so
   * draw an empty one first.
   */
  drawStatus(text: string): void {
    // Carriage return, and "erase to the end of the line" (ECMA-48, EL).
    this.#enqueue(Buffer.from(`\r\u001b[K${harmless(text, "\ufffd")}`));
  }

  /** A value as JSON and the end of a line; what a terminal could act on is escaped, so that it stays the same JSON. */
  writeJson(value: unknown, indent?: number): void {
    this.#enqueue(Buffer.from(`${harmless(JSON.stringify(value, null, indent), undefined)}\n`));
  }

  /**
   * Bytes as they are. They are not copied, and may be taken away when the promise has settled; {@link OutputError} as
   * by {@link flush}.
   */
  async writeBytes(parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) this.#enqueue(part);
    await this.flush();
  }

  /** Waits until all is written; throws an {@link OutputError} when something could not be. */
  async flush(): Promise<void> {
    await this.#tail;
    if (this.#failure !== undefined) throw this.#failure;
  }

  #enqueue(bytes: Uint8Array): void {
    this.#tail = this.#tail.then(async () => {
      if (this.#failure !== undefined) return;
      try {
        await this.#sink(bytes);
      } catch (error) {
        this.#failure = new OutputError((error as NodeJS.ErrnoException).code ?? "unknown error");
      }
    });
  }
}

function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) return false;
  }
  return text !== "";
}

function sinkOf(stream: Writable & { readonly fd?: number }): Sink {
  const { fd } = stream;
  if (fd !== undefined && fstatSync(fd).isFile()) {
    // Node's stream for a file takes a write of some of the bytes for one of all.
    return (bytes) => {
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    };
  }
  // Each failure comes to the callback of its write, too.
  stream.on("error", () => undefined);
  return (bytes) =>
    new Promise((resolve, reject) => {
      stream.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
}

/**
 * Whether a terminal could act on it: control characters but tab and line feed, line and paragraph separators, and
 * marks that change the direction of writing (Unicode 15, chapter 23.2).
 */
function isActive(code: number): boolean {
  return (
    (code < 0x20 && code !== 0x09 && code !== 0x0a) ||
    (code >= 0x7f && code <= 0x9f) ||
    code === 0x061c ||
    code === 0x200e ||
    code === 0x200f ||
    (code >= 0x2028 && code <= 0x202e) ||
    (code >= 0x2066 && code <= 0x2069)
  );
}

/**
 * `text` with `instead` in the place of each such character, and of halves of surrogate pairs; or with its escape in
 * JSON.
 */
export function harmless(text: string, instead: string | undefined): string {
  let done = "";
  let from = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0xd800 && code <= 0xdbff) {
      const next = text.charCodeAt(at + 1);
      if (next >= 0xdc00 && next <= 0xdfff) {
        at++;
        continue;
      }
    } else if (!(code >= 0xdc00 && code <= 0xdfff) && !isActive(code)) {
      continue;
    }
    done += text.slice(from, at) + (instead ?? `\\u${code.toString(16).padStart(4, "0")}`);
    from = at + 1;
  }
  return done + text.slice(from);
}

const replacement = Buffer.from("\ufffd");

/** The same of bytes that are UTF-8: pieces of them, and the replacement between. */
export function harmlessParts(bytes: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at] ?? 0;
    const size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const second = (bytes[at + 1] ?? 0) & 0x3f;
    const third = (bytes[at + 2] ?? 0) & 0x3f;
    const code =
      size === 1 ? lead : size === 2 ? ((lead & 0x1f) << 6) | second : ((lead & 0x0f) << 12) | (second << 6) | third;
    if (size < 4 && isActive(code)) {
      if (at > from) parts.push(bytes.subarray(from, at));
      parts.push(replacement);
      from = at + size;
    }
    at += size;
  }
  if (from < bytes.length) parts.push(bytes.subarray(from));
  return parts;
}
