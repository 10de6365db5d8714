/** The files of a folder of receipts: their names, their lines, and where the last one ends. */
import { constants, readdirSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { ConfigurationError } from "../errors.js";
import { MAX_LINE_BYTES } from "./receipt.js";

const BEFORE = "receipts-";
const AFTER = ".jsonl";
const DIGITS = 8;
const LINE_FEED = 0x0a;

/** One file: the number in its name, from 1, and its path. */
export interface ReceiptFile {
  readonly number: number;
  readonly path: string;
}

export function fileName(number: number): string {
  return `${BEFORE}${String(number).padStart(DIGITS, "0")}${AFTER}`;
}

/** A folder's files of receipts, in their order. Other files are not looked at. Throws the system's error. */
export function receiptFiles(folder: string): ReceiptFile[] {
  return readdirSync(folder)
    .map((name) => ({ number: numberOf(name), path: join(folder, name) }))
    .filter(({ number }) => number > 0)
    .sort((one, other) => one.number - other.number);
}

/** 0 for any other name. */
function numberOf(name: string): number {
  const number = Number(name.slice(BEFORE.length, BEFORE.length + DIGITS));
  return Number.isSafeInteger(number) && number > 0 && fileName(number) === name ? number : 0;
}

/** A line as it stands in a file. */
export interface FileLine {
  /** Without its end; empty when it was too long. */
  readonly bytes: Buffer;
  /** It has its end: a line without was cut off in the middle of writing. */
  readonly ended: boolean;
  /** It had more than {@link MAX_LINE_BYTES}, and is not kept. */
  readonly tooLong: boolean;
}

/**
 * Opens a regular file for reading. Rejects with the system's error, and with a `ConfigurationError` for a folder, a
 * pipe or a device, without waiting for anything.
 */
export async function openRegular(path: string): Promise<FileHandle> {
  // Without O_NONBLOCK opening a FIFO would wait for ever.
  const file = await open(path, constants.O_RDONLY | (process.platform === "win32" ? 0 : constants.O_NONBLOCK));
  try {
    if (!(await file.stat()).isFile()) throw new ConfigurationError("FILE", `${path} is not a regular file.`);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The lines of a file, of whatever size, one after the other. Rejects as {@link openRegular} does. */
export async function* linesOf(path: string): AsyncGenerator<FileLine> {
  const file = await openRegular(path);
  try {
    const part = Buffer.alloc(64 * 1024);
    let pieces: Buffer[] = [];
    let length = 0;
    const take = (ended: boolean): FileLine => {
      const tooLong = length > MAX_LINE_BYTES;
      const line = { bytes: tooLong ? Buffer.alloc(0) : Buffer.concat(pieces), ended, tooLong };
      pieces = [];
      length = 0;
      return line;
    };
    const keep = (piece: Buffer): void => {
      length += piece.length;
      if (length <= MAX_LINE_BYTES) pieces.push(Buffer.from(piece));
      else pieces = [];
    };
    for (;;) {
      const { bytesRead } = await file.read(part, 0, part.length, null);
      if (bytesRead === 0) break;
      let from = 0;
      for (let end; (end = part.subarray(0, bytesRead).indexOf(LINE_FEED, from)) >= 0; from = end + 1) {
        keep(part.subarray(from, end));
        yield take(true);
      }
      if (from < bytesRead) keep(part.subarray(from, bytesRead));
    }
    if (length > 0) yield take(false);
  } finally {
    await file.close();
  }
}

/** How a file of receipts ends. */
export interface FileEnd {
  /** Its last whole line without the end; undefined when there is none. */
  readonly last: Buffer | undefined;
  /** Bytes up to the end of the last whole line. */
  readonly whole: number;
  /** Bytes after it: of a line that was cut off. */
  readonly torn: number;
}

/** Looks at the end of an open file, from behind. Undefined: no line is where one must be, so it is no such file. */
export async function endOf(file: FileHandle): Promise<FileEnd | undefined> {
  const { size } = await file.stat();
  // A torn line, and a whole one with its end before it, and the end of the one before that.
  const tail = Buffer.alloc(Math.min(size, 2 * MAX_LINE_BYTES + 2));
  const start = size - tail.length;
  for (let at = 0; at < tail.length;) {
    const { bytesRead } = await file.read(tail, at, tail.length - at, start + at);
    if (bytesRead === 0) return undefined;
    at += bytesRead;
  }
  const end = tail.lastIndexOf(LINE_FEED);
  if (end < 0) return start === 0 ? { last: undefined, whole: 0, torn: size } : undefined;
  const before = end === 0 ? -1 : tail.lastIndexOf(LINE_FEED, end - 1);
  if (before < 0 && start > 0) return undefined;
  return { last: tail.subarray(before + 1, end), whole: start + end + 1, torn: tail.length - end - 1 };
}
