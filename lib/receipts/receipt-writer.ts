/** Writing receipts into a folder: one writer, each line on the disk before its answer is handed on. */
import { constants, openSync, closeSync, fsyncSync, statSync, unlinkSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { dirname, join } from "node:path";
import { canonicalPolicy, policyId } from "../attestation/policy.js";
import type { CheckedPolicy } from "../attestation/policy.js";
import type { DigestKey } from "../envelope/digest.js";
import { ConfigurationError, NomyoError, SecurityError } from "../errors.js";
import { accessAdvice } from "../keys/access-advice.js";
import { syncFolder, writeFileAtomically } from "../keys/atomic-file.js";
import { tryHoldFileLock } from "../keys/file-lock.js";
import type { HeldLock } from "../keys/file-lock.js";
import { makeFolder } from "../keys/new-folder.js";
import type { Locking } from "../native.js";
import { systemReason } from "../system-reason.js";
import { readDigestKey } from "./digest-key-file.js";
import { endOf, fileName, receiptFiles } from "./receipt-files.js";
import type { FileEnd, ReceiptFile } from "./receipt-files.js";
import type { ReceiptSettings } from "./receipt-options.js";
import { lineHash, lineOf, NO_LINE, readLine, ReceiptFormatError } from "./receipt.js";
import type { Receipt } from "./receipt.js";

const OPTION = "receipts";
const LOCK = ".lock";
const PROBE = ".probe";
const PROBE_BYTES = 64 * 1024;
/** Receipts that are written, and flushed, together. */
const MOST_TOGETHER = 256;
const NOT_HANDED_ON = "The answer was not handed on, and was wiped.";

/** Where the writing stands. */
interface Place {
  readonly lock: HeldLock;
  file: FileHandle;
  path: string;
  number: number;
  /** Bytes of the file. */
  length: number;
  sequence: number;
  previous: string;
  /** Something is being written, of which a part may be in the file. */
  dirty: boolean;
}

interface Waiting {
  readonly receipt: Receipt;
  readonly policy: CheckedPolicy;
  readonly resolve: (written: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/** Told of what an operator should know. */
export interface ReceiptLog {
  warn(message: string, fields?: Readonly<Record<string, string | number>>): void;
}

/**
 * Writes a client's receipts. All that goes wrong ends with an error for whoever wants his receipt: an answer is not
 * handed on without it. What was begun is taken back as far as the system lets it; the next {@link ready} opens the
 * folder anew.
 */
export class ReceiptWriter {
  readonly #settings: ReceiptSettings;
  readonly #locking: Locking;
  readonly #log: ReceiptLog;
  /** Policies whose text is in the folder. */
  readonly #policies = new Set<string>();
  #waiting: Waiting[] = [];
  #place: Place | undefined;
  /** The last line that was acknowledged: the chain goes on from there, or from a later one. */
  #told: { readonly sequence: number; readonly previous: string } | undefined;
  #leaving: Promise<void> | undefined;
  #opening: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  #isWriting = false;
  #digestKey: DigestKey | undefined;
  /** The last writing failed: before anything is sent, see whether it would work now. */
  #failed = false;
  #closed = false;

  constructor(settings: ReceiptSettings, locking: Locking, log: ReceiptLog) {
    this.#settings = settings;
    this.#locking = locking;
    this.#log = log;
  }

  /** There once {@link ready} has resolved, where the settings name one. */
  get digestKey(): DigestKey | undefined {
    return this.#digestKey;
  }

  /**
   * Sees to it that receipts can be written, before a request is sent. Rejects with a `ConfigurationError` for a folder
   * that cannot be used, and with a `SecurityError` (`RECEIPT_NOT_WRITTEN`) while it takes no more.
   */
  async ready(): Promise<void> {
    if (this.#closed) throw new ConfigurationError("close", "This client has been closed: make a new one.");
    await this.#ensureOpen();
  }

  async #ensureOpen(): Promise<void> {
    await this.#leaving?.catch(() => undefined);
    if (this.#place !== undefined) return;
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    await this.#opening;
  }

  /**
   * Writes a receipt and waits until it is on the disk.
   *
   * @param policy - The one in force. Its text is put beside the receipts, once, so that they can be verified later.
   * @returns the receipt as it was written, with its place in the chain. Rejects with a `SecurityError`
   *   (`RECEIPT_NOT_WRITTEN`).
   */
  append(receipt: Receipt, policy: CheckedPolicy): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ receipt, policy, resolve, reject });
      if (!this.#isWriting) this.#writing = this.#write();
    });
  }

  /** Waits for what is being written, and lets others write to the folder. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#opening?.catch(() => undefined);
    await this.#writing;
    await this.#leave();
    this.#digestKey?.dispose();
    this.#digestKey = undefined;
  }

  async #open(): Promise<void> {
    const { folder, digestKeyFile } = this.#settings;
    if (digestKeyFile !== undefined) {
      this.#digestKey ??= readDigestKey(digestKeyFile, `${OPTION}.digestKeyFile`, this.#locking);
    }
    let lock: HeldLock | undefined;
    try {
      ownFolder(folder);
      lock = tryHoldFileLock(join(folder, LOCK), OPTION);
      if (lock === undefined) {
        throw new ConfigurationError(
          OPTION,
          `Another client or process writes receipts to ${folder}, and a chain has one writer. Give each its own ` +
            `folder (\`${OPTION}\`).`,
        );
      }
      if (this.#failed) probe(folder);
      const place = await this.#placeIn(folder, lock);
      await this.#checkIsOurs(place);
      this.#place = place;
      this.#failed = false;
    } catch (error) {
      lock?.release();
      throw this.#failed && isOfSystem(error)
        ? notWritten(folder, error, "Nothing was sent.")
        : unusable(folder, error);
    }
  }

  /** Lines that this writer has acknowledged are still there: else the chain would go on as if they had never been. */
  async #checkIsOurs({ sequence, previous, path, file }: Place): Promise<void> {
    const told = this.#told;
    if (told === undefined || sequence > told.sequence) return;
    if (sequence === told.sequence && previous === told.previous) return;
    await file.close();
    throw broken(path, `its last line is not number ${told.sequence}, which this process has written`);
  }

  /** Where the chain goes on. A line that was cut off is taken away: its answer was never handed on. */
  async #placeIn(folder: string, lock: HeldLock): Promise<Place> {
    const files = receiptFiles(folder);
    const last = files.at(-1) ?? { number: 1, path: join(folder, fileName(1)) };
    const file = await openFile(last.path, constants.O_CREAT);
    try {
      if (files.length === 0) syncFolder(folder);
      const end = await this.#repaired(file, last.path);
      const line = end.last ?? (await lastLineBefore(files, last));
      const chain = line === undefined ? { sequence: 0, hash: NO_LINE } : chainOf(line, last.path);
      return {
        lock,
        file,
        ...last,
        length: end.whole,
        sequence: chain.sequence,
        previous: chain.hash,
        dirty: false,
      };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #repaired(file: FileHandle, path: string): Promise<FileEnd> {
    const end = await endOf(file);
    if (end === undefined) throw broken(path, "its end is no line");
    if (end.torn > 0) {
      await file.truncate(end.whole);
      await file.datasync();
      this.#log.warn(
        "The last line of the receipts was cut off in the middle, and was removed: its answer was not handed on, " +
          "unless somebody has cut it.",
        {
          file: path,
          bytes: end.torn,
        },
      );
    }
    return end;
  }

  async #write(): Promise<void> {
    // Ends in the same breath as the loop: whoever comes a moment later must not wait for a writing that has ended.
    this.#isWriting = true;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MOST_TOGETHER);
      try {
        for (const { resolve, receipt } of await this.#writeAll(batch)) resolve(receipt);
      } catch (error) {
        await this.#takeBack();
        for (const { reject } of batch) {
          // Each gets one of his own, to which he adds what he knows.
          reject(notWritten(this.#settings.folder, error, NOT_HANDED_ON));
        }
      }
    }
    this.#isWriting = false;
  }

  /** Those that were written, each with its place in the chain. One that can be no line is rejected by itself. */
  async #writeAll(batch: readonly Waiting[]): Promise<Pick<Waiting, "receipt" | "resolve">[]> {
    // A batch before this one may have failed, when this one's requests were under way.
    await this.#ensureOpen();
    const place = this.#place ?? nowhere();
    for (const { policy } of batch) this.#keepPolicy(policy);
    const written: Pick<Waiting, "receipt" | "resolve">[] = [];
    const lines: string[] = [];
    let { sequence, previous } = place;
    for (const { receipt, resolve, reject } of batch) {
      const chained = { ...receipt, chain: { sequence: sequence + 1, previous } };
      let line: string;
      try {
        line = lineOf(chained);
      } catch (error) {
        if (!(error instanceof ReceiptFormatError)) throw error;
        // What a server put into its answer is no reason for the others to fail.
        reject(notWritten(this.#settings.folder, error, NOT_HANDED_ON));
        continue;
      }
      sequence += 1;
      previous = lineHash(line);
      written.push({ receipt: chained, resolve });
      lines.push(`${line}\n`);
    }
    if (written.length === 0) return written;
    await checkFile(place);
    const bytes = Buffer.from(lines.join(""));
    if (place.length > 0 && place.length + bytes.length > this.#settings.maxFileBytes) await this.#nextFile(place);
    place.dirty = true;
    for (let at = 0; at < bytes.length;) {
      at += (await place.file.write(bytes, at, bytes.length - at, null)).bytesWritten;
    }
    await place.file.datasync();
    place.length += bytes.length;
    place.sequence = sequence;
    place.previous = previous;
    place.dirty = false;
    this.#told = { sequence, previous };
    return written;
  }

  async #nextFile(place: Place): Promise<void> {
    const number = place.number + 1;
    const path = join(this.#settings.folder, fileName(number));
    const file = await openFile(path, constants.O_CREAT | constants.O_EXCL);
    const former = place.file;
    Object.assign(place, { file, path, number, length: 0 });
    await former.close();
    syncFolder(this.#settings.folder);
  }

  /** The text whose digest receipts have as `attestation.policy`. */
  #keepPolicy(policy: CheckedPolicy): void {
    const id = policyId(policy);
    if (this.#policies.has(id)) return;
    try {
      const path = join(this.#settings.folder, `policy-${id}.json`);
      writeFileAtomically(path, Buffer.from(canonicalPolicy(policy)), 0o600, false);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    this.#policies.add(id);
  }

  /** After a failure: no half of a line, and no line of an answer that was not handed on; nor less than was there. */
  async #takeBack(): Promise<void> {
    this.#failed = true;
    const place = this.#place;
    if (place === undefined) return;
    try {
      if (place.dirty) {
        await checkFile(place, "atLeast");
        await place.file.truncate(place.length);
        await place.file.datasync();
      }
      await this.#leave();
    } catch (error) {
      this.#log.warn("A receipt that could not be written could not be taken back either.", {
        file: place.path,
        error: (error as NodeJS.ErrnoException).code ?? "unknown",
      });
      await this.#leave().catch(() => undefined);
    }
  }

  #leave(): Promise<void> {
    this.#leaving = this.#close().finally(() => {
      this.#leaving = undefined;
    });
    return this.#leaving;
  }

  async #close(): Promise<void> {
    const place = this.#place;
    this.#place = undefined;
    if (place === undefined) return;
    try {
      await place.file.close();
    } finally {
      place.lock.release();
    }
  }
}

function nowhere(): never {
  throw new Error("An open folder has a place, and each receipt that was written its line.");
}

/** Others must not be able to put another file into its place. */
function ownFolder(folder: string): void {
  const made = makeFolder(folder, 0o700);
  // Its name, too, is on the disk before the first receipt.
  if (made !== undefined) syncFolder(dirname(made));
  if (process.platform === "win32") return;
  const { mode, uid } = statSync(folder);
  if ((mode & 0o022) !== 0) {
    throw new ConfigurationError(
      OPTION,
      `Others may write to the folder ${folder}. ${accessAdvice(folder, "chmod go-w")}.`,
    );
  }
  if (uid !== process.geteuid?.()) {
    throw new ConfigurationError(OPTION, `The folder ${folder} belongs to another account (uid ${uid}).`);
  }
}

async function openFile(path: string, how: number): Promise<FileHandle> {
  // Never through a link. O_APPEND: whatever happens, nothing is written over what is there.
  const noFollow = process.platform === "win32" ? 0 : constants.O_NOFOLLOW;
  const file = await open(path, constants.O_RDWR | constants.O_APPEND | noFollow | how, 0o600);
  const { mode } = await file.stat();
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    await file.close();
    throw new ConfigurationError(
      OPTION,
      `${path} is open to others than its owner. ${accessAdvice(path, "chmod 600")}.`,
    );
  }
  return file;
}

/** Whoever moves the file away, or writes to it, breaks the chain: seen before the next line is written. */
async function checkFile({ file, path, length }: Place, size: "exactly" | "atLeast" = "exactly"): Promise<void> {
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  const held = await file.stat({ bigint: true });
  const isSame = named?.ino === held.ino && named.dev === held.dev;
  if (isSame && (size === "exactly" ? held.size === BigInt(length) : held.size >= BigInt(length))) return;
  throw broken(path, isSame ? "somebody else has changed it" : "somebody has moved or removed it");
}

async function lastLineBefore(files: readonly ReceiptFile[], last: ReceiptFile): Promise<Buffer | undefined> {
  if (last.number === 1) return undefined;
  const former = files.at(-2);
  if (former?.number !== last.number - 1) {
    throw broken(last.path, "it is empty, and the file before it, where the chain goes on, is not there");
  }
  const file = await openFile(former.path, 0);
  try {
    const end = await endOf(file);
    if (end?.last === undefined || end.torn > 0) throw broken(former.path, "its end is no line");
    return end.last;
  } finally {
    await file.close();
  }
}

function chainOf(line: Buffer, path: string): { readonly sequence: number; readonly hash: string } {
  try {
    const { chain } = readLine(line);
    if (chain === null) throw new ReceiptFormatError("it is not part of a chain");
    return { sequence: chain.sequence, hash: lineHash(line) };
  } catch (error) {
    if (error instanceof ReceiptFormatError) throw broken(path, `its last line cannot be read: ${error.message}`);
    throw error;
  }
}

/** After a full disk: whether it takes something again, quotas included. */
function probe(folder: string): void {
  const path = join(folder, PROBE);
  const file = openSync(path, "w", 0o600);
  try {
    const bytes = Buffer.alloc(PROBE_BYTES);
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
    unlinkSync(path);
  }
}

function isOfSystem(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined;
}

function broken(path: string, why: string): ConfigurationError {
  return new ConfigurationError(
    OPTION,
    `Receipts cannot go on in ${path}: ${why}. See: nomyo-native receipt verify. Then give another folder.`,
  );
}

function unusable(folder: string, error: unknown): unknown {
  if (!isOfSystem(error)) return error;
  return new ConfigurationError(
    OPTION,
    `Receipts cannot be written to the folder ${folder} (${systemReason(error)}). Name one that this account may ` +
      "write to.",
  );
}

function notWritten(folder: string, error: unknown, consequence: string): SecurityError {
  const why = error instanceof NomyoError || error instanceof ReceiptFormatError ? error.message : systemReason(error);
  return new SecurityError(
    `The receipt could not be written to ${folder} (${why}). ${consequence} Make room there, or see what is wrong ` +
      "with the folder.",
    "RECEIPT_NOT_WRITTEN",
  );
}
