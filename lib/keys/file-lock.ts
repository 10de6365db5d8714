/** A lock that processes hold by a file, and lose with their end. */
import { closeSync, constants, fstatSync, openSync, statSync, unlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { ConfigurationError } from "../errors.js";
import { native } from "../native.js";
import { systemReason } from "../system-reason.js";

/** A holder works for milliseconds. One that takes longer than this is stopped, or no program of ours. */
const PATIENCE_MS = 30_000;
const POLL_MS = 10;

/**
 * Runs `work` while no other process, thread or call holds the lock at `path`: a file that is made for it (mode 0600)
 * and removed after it.
 *
 * The lock is the kernel's (flock): it ends with its holder, so that a crash leaves no more than an empty file, which
 * is used again. The event loop never waits for it.
 *
 * @param option - Named in the {@link ConfigurationError} when the lock file cannot be made, or is held for half a
 *   minute.
 */
export async function withFileLock<T>(
  path: string,
  option: string,
  work: () => T | Promise<T>,
  patienceMs: number = PATIENCE_MS,
): Promise<T> {
  const file = await lock(path, option, patienceMs);
  try {
    return await work();
  } finally {
    try {
      // Before the lock ends: whoever comes later makes a new file; whoever has this one open finds that it lost its
      // name.
      unlinkSync(path);
    } finally {
      closeSync(file);
    }
  }
}

/** A lock that is kept. */
export interface HeldLock {
  /** Harmless twice. The file stays, empty. */
  release(): void;
}

/**
 * Takes the lock at `path` at once and keeps it; undefined when another process, thread or call has it.
 *
 * @param option - Named in the {@link ConfigurationError} when the lock file cannot be made.
 */
export function tryHoldFileLock(path: string, option: string): HeldLock | undefined {
  const file = open(path, option);
  let held = false;
  try {
    held = native.tryLockFile(file) && isStillThere(path, file);
  } finally {
    if (!held) closeSync(file);
  }
  if (!held) return undefined;
  return {
    release: () => {
      if (!held) return;
      held = false;
      closeSync(file);
    },
  };
}

async function lock(path: string, option: string, patienceMs: number): Promise<number> {
  for (let waited = 0; ; waited += POLL_MS) {
    const file = open(path, option);
    try {
      if (native.tryLockFile(file) && isStillThere(path, file)) return file;
    } catch (error) {
      closeSync(file);
      throw error;
    }
    closeSync(file);
    if (waited >= patienceMs) {
      throw new ConfigurationError(
        option,
        `Another process has held ${path} for ${Math.round(patienceMs / 1000)} seconds. See which one it is (lsof), ` +
          "and end it.",
      );
    }
    await sleep(POLL_MS);
  }
}

function open(path: string, option: string): number {
  try {
    // Never through a link: others could choose what is made, and removed, by it.
    const noFollow = process.platform === "win32" ? 0 : constants.O_NOFOLLOW;
    return openSync(path, constants.O_RDWR | constants.O_CREAT | noFollow, 0o600);
  } catch (error) {
    throw new ConfigurationError(
      option,
      `${path} cannot be made (${systemReason(error)}). Under this lock processes share what is in the folder: name ` +
        "one that this account may write to.",
    );
  }
}

/** A holder removes the file: a lock on one that has no name any more keeps nobody out. */
function isStillThere(path: string, file: number): boolean {
  const held = fstatSync(file, { bigint: true });
  const named = statSync(path, { bigint: true, throwIfNoEntry: false });
  return named?.ino === held.ino && named.dev === held.dev;
}
