/** The key pair in a folder: loaded strictly, written whole, never replaced by mistake. */
import { existsSync, lstatSync, readFileSync, statSync, unlinkSync } from "node:fs";
import { dirname, join } from "node:path";

import { ConfigurationError, SecurityError } from "../errors.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { asSystemSays, systemReason } from "../system-reason.js";
import { accessAdvice } from "./access-advice.js";
import { removeLeftovers, writeFileAtomically } from "./atomic-file.js";
import { withFileLock } from "./file-lock.js";
import { MIN_PASSWORD_BYTES, withPassword } from "./key-password.js";
import type { KeyPassword } from "./key-password.js";
import { makeFolder } from "./new-folder.js";
import { PrivateKey } from "./private-key.js";
import { PublicKey } from "./public-key.js";
import { NotAFile, openToOthers, readSecretFile } from "./secret-file.js";

/** A PEM file of a key is a few KiB. */
const MAX_FILE_BYTES = 65_536;

/**
 * A private key, when it was made (milliseconds since 1970; a file's: when that was written), and which file it is, if
 * it is one.
 */
export interface StoredKey {
  readonly key: PrivateKey;
  readonly writtenAt: number;
  /** Tells this content of the file from another one, of whichever process. */
  readonly version?: string | undefined;
}

/** The two files of PROTOCOL section 6 in one folder. */
export function keyFiles(folder: string): { readonly privateKey: string; readonly publicKey: string } {
  return { privateKey: join(folder, "private_key.pem"), publicKey: join(folder, "public_key.pem") };
}

/** Whether there is a key in this folder. A public key file alone is an error: nobody knows what it belonged to. */
export function hasKey(folder: string): boolean {
  const { privateKey, publicKey } = keyFiles(folder);
  if (existsSync(privateKey)) return true;
  if (existsSync(publicKey)) {
    throw new SecurityError(
      `${publicKey} is there, but ${privateKey} is not. Put the private key back, or remove the public one to let a ` +
        "new pair be made.",
      "KEY_FILES",
    );
  }
  return false;
}

/**
 * Runs `work` while no other process of this package changes the pair in `folder`. The two files cannot be replaced in
 * one step: only under this lock do they belong together for certain.
 */
async function withFolderLock<T>(folder: string, work: () => T | Promise<T>): Promise<T> {
  return withFileLock(join(folder, ".lock"), "keyDir", work);
}

/**
 * Loads the pair in a folder as {@link loadPrivateKey} does, and makes a public key file that is missing anew. Another
 * process may replace the pair meanwhile: what comes is the former or the latter.
 */
export async function loadKeyPair(
  folder: string,
  password: KeyPassword | undefined,
  locking: Locking,
): Promise<StoredKey> {
  const { privateKey, publicKey } = keyFiles(folder);
  if (existsSync(publicKey)) return loadPrivateKey(privateKey, publicKey, password, locking);
  return withFolderLock(folder, async () => {
    const beside = existsSync(publicKey);
    const stored = await loadOnce(privateKey, beside ? publicKey : undefined, password, locking);
    try {
      if (!beside) writePublicKey(publicKey, stored.key);
    } catch (error) {
      stored.key.dispose();
      throw error;
    }
    return stored;
  });
}

/**
 * Reads a private key (PKCS#8 or PKCS#1 PEM, RSA of 2048 bits or more) straight into locked memory.
 *
 * Refused, each with a `SecurityError` that says what to do: a file that others may read or that is another account's,
 * one in a folder that others may write to, one that is not such a key, a wrong password, a public key file that does
 * not belong to it.
 *
 * @param publicKeyPath - Checked when given; must exist then.
 */
export async function loadPrivateKey(
  privateKeyPath: string,
  publicKeyPath: string | undefined,
  password: KeyPassword | undefined,
  locking: Locking,
): Promise<StoredKey> {
  try {
    return await loadOnce(privateKeyPath, publicKeyPath, password, locking);
  } catch (error) {
    // Perhaps the one file was read before another process replaced the pair, and the other one after it; or while it
    // did so, when there is no public key for a moment, though there may be one again by now.
    if (publicKeyPath === undefined || dirname(publicKeyPath) !== dirname(privateKeyPath)) throw error;
    const { code, cause } = error as { code?: unknown; cause?: { code?: unknown; path?: unknown } };
    const missing = cause?.code === "ENOENT" && cause.path === publicKeyPath;
    if (code !== "KEY_MISMATCH" && !missing) throw error;
    return withFolderLock(dirname(privateKeyPath), () => loadOnce(privateKeyPath, publicKeyPath, password, locking));
  }
}

async function loadOnce(
  privateKeyPath: string,
  publicKeyPath: string | undefined,
  password: KeyPassword | undefined,
  locking: Locking,
): Promise<StoredKey> {
  const { pem, writtenAt, version } = readIntoPool(privateKeyPath, locking);
  let key: PrivateKey;
  try {
    const foreign = isForeignForm(pem);
    key = await withPassword(password, locking, async (secret) => {
      try {
        return await PrivateKey.fromPem(pem, secret, locking);
      } catch (error) {
        throw describe(error, privateKeyPath, { foreign, hasPassword: secret !== null, encrypted: isEncrypted(pem) });
      }
    });
  } finally {
    pem.dispose();
  }
  try {
    if (publicKeyPath !== undefined) checkPublicKey(key, privateKeyPath, publicKeyPath);
  } catch (error) {
    key.dispose();
    throw error;
  }
  return { key, writtenAt, version };
}

/**
 * Makes the folder if need be, and finds what would keep a new pair from being written to it: before the pair is made,
 * which takes seconds.
 *
 * @throws as {@link savePrivateKey}, also with `EEXIST`.
 */
export async function prepareFolder(folder: string): Promise<void> {
  makeFolder(folder, 0o700);
  checkFolder(folder);
  // That its lock can be made shows that files can.
  await withFolderLock(folder, () => {
    const { privateKey } = keyFiles(folder);
    if (lstatSync(privateKey, { throwIfNoEntry: false }) === undefined) return;
    throw asSystemSays("EEXIST", "link", `There is a file ${privateKey}.`);
  });
}

/** A password under which a new private key may be written. */
export function checkNewPassword(password: SecureBuffer): void {
  if (password.length >= MIN_PASSWORD_BYTES) return;
  throw new ConfigurationError(
    "keyPassword",
    `A private key is not written under a password of fewer than ${MIN_PASSWORD_BYTES} characters: choose a ` +
      "longer one.",
  );
}

/**
 * Writes a key pair into a folder, which is made with mode 0700 if need be: `private_key.pem` with mode 0600 (encrypted
 * under the password if there is one, PBES2 with AES-256-CBC), `public_key.pem` with mode 0644.
 *
 * @param replaces - The `version` of the key that this one takes the place of. Undefined: when there is a private key
 *   already, nothing is changed and the error has the code `EEXIST`.
 * @returns the `version` of the written file, or undefined when the folder holds another key than `replaces` by now,
 *   which stays.
 */
export async function savePrivateKey(
  folder: string,
  key: PrivateKey,
  password: KeyPassword | undefined,
  locking: Locking,
  replaces?: string,
): Promise<string | undefined> {
  const pem = await withPassword(password, locking, async (secret) => {
    if (secret !== null) checkNewPassword(secret);
    return key.toPem(secret, locking);
  });
  const files = keyFiles(folder);
  try {
    makeFolder(folder, 0o700);
    checkFolder(folder);
    return await withFolderLock(folder, () => {
      const present = versionOf(files.privateKey);
      if (replaces !== undefined && present !== undefined && present !== replaces) return undefined;
      removeLeftovers(files.privateKey);
      removeLeftovers(files.publicKey);
      // A public key that is missing is made again from the private one; one that does not fit is refused. So a crash
      // between the steps must leave none rather than a wrong one.
      if (replaces !== undefined && existsSync(files.publicKey)) unlinkSync(files.publicKey);
      pem.use((view) => writeFileAtomically(files.privateKey, view, 0o600, replaces !== undefined));
      writePublicKey(files.publicKey, key);
      return versionOf(files.privateKey);
    });
  } finally {
    pem.dispose();
  }
}

/** A rename gives the name another inode, and the time of writing tells it from one that is used again. */
function versionOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}:${stat.mtimeNs}`;
}

/**
 * Whoever may write to a folder can put his own key in the place of the one in it. (In a sticky one, like /tmp, he
 * cannot.)
 */
function checkFolder(folder: string): void {
  if (process.platform === "win32") return;
  const { mode, uid } = statSync(folder);
  if ((mode & 0o022) !== 0 && (mode & 0o1000) === 0) {
    throw new SecurityError(
      `Others than its owner may replace files in ${folder}, where a private key is or is to be. ` +
        `${accessAdvice(folder, "chmod go-w")}.`,
      "KEY_PERMISSIONS",
    );
  }
  checkOwner(folder, uid);
}

function checkOwner(path: string, uid: number): void {
  if (uid === 0 || uid === process.geteuid?.()) return;
  throw new SecurityError(
    `${path} belongs to another account (uid ${uid}), which can change it. Run as that account. ` +
      `${accessAdvice(path, `chown ${process.geteuid?.()}`, "Or")}.`,
    "KEY_PERMISSIONS",
  );
}

/** Writes the public half beside a private key that is there. */
export function writePublicKey(path: string, key: PrivateKey): void {
  writeFileAtomically(path, Buffer.from(key.publicInfo().pem), 0o644, true);
}

function readIntoPool(path: string, locking: Locking): { pem: SecureBuffer; writtenAt: number; version: string } {
  try {
    checkFolder(dirname(path));
    const { bytes, stat } = readSecretFile(path, locking, ({ mode, size, uid, gid }) => {
      if (openToOthers({ mode, uid, gid })) {
        throw new SecurityError(
          `Others than its owner may read ${path}. ` +
            `${accessAdvice(path, "chmod 600", "If it holds a private key, run")}.`,
          "KEY_PERMISSIONS",
        );
      }
      if (process.platform !== "win32") checkOwner(path, Number(uid));
      if (size === 0n || size > BigInt(MAX_FILE_BYTES)) {
        throw new SecurityError(`${path} is not a PEM file of a private key: it has ${size} bytes.`, "KEY_FORMAT");
      }
    });
    return { pem: bytes, writtenAt: Number(stat.mtimeMs), version: `${stat.dev}:${stat.ino}:${stat.mtimeNs}` };
  } catch (error) {
    if (error instanceof NotAFile) {
      throw new ConfigurationError("keyDir", `${error.message} No new key was made in its place.`);
    }
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw unreadable(path, error);
    throw error;
  }
}

function unreadable(path: string, error: unknown): ConfigurationError {
  return new ConfigurationError(
    "keyDir",
    `The key file ${path} cannot be read (${systemReason(error)}). No new key was made in its place.`,
    { cause: error },
  );
}

/**
 * Whether the file claims to be a password-protected key and cannot be PKCS#8: its content is not a DER SEQUENCE, or it
 * is no PEM at all. nomyo-js writes such files. What is looked at is encrypted, so it may be seen outside locked
 * memory.
 */
function isForeignForm(pem: SecureBuffer): boolean {
  return pem.use((view) => {
    // The same memory with more methods. No regular expression: those keep what they have seen.
    const start = Buffer.from(view.buffer, view.byteOffset, Math.min(view.length, 96));
    const isSpace = (byte: number | undefined): boolean =>
      byte === 0x20 || (byte !== undefined && byte >= 9 && byte <= 13);
    const label = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let at = start.indexOf(label);
    at = at < 0 ? 0 : at + label.length;
    const isLabelled = at > 0;
    while (isSpace(start[at])) at++;
    if (!isLabelled) return start[at] === 0x7b;
    // The DER of a SEQUENCE of over 255 bytes begins 30 82, which is "MII" in base64.
    return at + 4 <= start.length && start.indexOf("MII", at) !== at;
  });
}

/** Whether the file says of itself that it is under a password. */
function isEncrypted(pem: SecureBuffer): boolean {
  return pem.use((view) => Buffer.from(view.buffer, view.byteOffset, view.length).includes("ENCRYPTED"));
}

interface KeyFileFacts {
  readonly foreign: boolean;
  readonly hasPassword: boolean;
  readonly encrypted: boolean;
}

function describe(error: unknown, path: string, { foreign, hasPassword, encrypted }: KeyFileFacts): unknown {
  const { code } = error as { code?: string };
  if (foreign && (code === "KEY_FORMAT" || code === "KEY_PASSWORD")) {
    return new SecurityError(
      `${path} is not PKCS#8. nomyo-js writes password-protected keys in a form of its own that nothing else reads: ` +
        "export the key from nomyo-js without a password, then run `openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY " +
        "-out private_key.pem`.",
      "KEY_FORMAT",
    );
  }
  const sentence: Readonly<Record<string, string>> = {
    KEY_FORMAT: "is not a private key in PEM form (PKCS#8 or PKCS#1)",
    KEY_WEAK: "holds no RSA key of at least 2048 bits",
    KEY_PASSWORD: hasPassword
      ? encrypted
        ? "cannot be opened with this password (`keyPassword`): it is wrong"
        : "is not protected by a password, and one was given (`keyPassword`): leave it out, or encrypt the key"
      : "is protected by a password, and no password was given (`keyPassword`)",
  };
  const text = code === undefined ? undefined : sentence[code];
  if (text === undefined) return error;
  return new SecurityError(`${path} ${text}. No new key was made in its place.`, code);
}

function checkPublicKey(key: PrivateKey, privateKeyPath: string, publicKeyPath: string): void {
  let stated: string;
  try {
    const pem = readFileSync(publicKeyPath, "utf8");
    stated = PublicKey.fromPem(pem, 2048).info().spkiSha256;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== undefined) throw unreadable(publicKeyPath, error);
    throw new SecurityError(
      `${publicKeyPath} is not a PEM file of an RSA public key of at least 2048 bits.`,
      "KEY_FORMAT",
    );
  }
  if (stated !== key.publicInfo().spkiSha256) {
    throw new SecurityError(
      `${publicKeyPath} does not belong to ${privateKeyPath}. Put the right one back, or remove it: it is made again ` +
        "from the private key.",
      "KEY_MISMATCH",
    );
  }
}
