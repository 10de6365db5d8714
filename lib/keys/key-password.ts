/** The password of a key file, in locked memory while it is used. */
import { ConfigurationError, NomyoError } from "../errors.js";
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";

/** Shortest password, in bytes of UTF-8, under which a private key is written (PROTOCOL section 6). */
export const MIN_PASSWORD_BYTES = 8;

/**
 * The password of a private key file. A string stays in the JavaScript heap for as long as the caller's code keeps it;
 * a {@link SecureBuffer} (of UTF-8, owned by the caller, who must not dispose of it before the client is closed) never
 * is there. A function is called each time a key file is read or written.
 */
export type KeyPassword = string | SecureBuffer | (() => string | SecureBuffer | Promise<string | SecureBuffer>);

/** Checks the option; what a function gives is checked when it is called. */
export function checkKeyPassword(value: KeyPassword, option: string): KeyPassword {
  if (value === "") throw new ConfigurationError(option, `\`${option}\` must not be empty.`);
  if (typeof value === "string" || typeof value === "function" || value instanceof SecureBuffer) return value;
  throw new ConfigurationError(option, `\`${option}\` must be a string, a SecureBuffer, or a function that gives one.`);
}

/**
 * Calls `use` with the password in locked memory, or with null when there is none. A copy made of a string is wiped
 * afterwards.
 */
export async function withPassword<T>(
  password: KeyPassword | undefined,
  locking: Locking,
  use: (password: SecureBuffer | null) => Promise<T>,
): Promise<T> {
  if (password === undefined) return use(null);
  const value = typeof password === "function" ? await callForPassword(password) : password;
  if (value instanceof SecureBuffer) return use(value);
  if (typeof value !== "string" || value === "") {
    throw new ConfigurationError(
      "keyPassword",
      "`keyPassword` must give a string that is not empty, or a SecureBuffer.",
    );
  }
  const copy = SecureBuffer.from(value, locking);
  try {
    return await use(copy);
  } finally {
    copy.dispose();
  }
}

async function callForPassword(give: () => unknown): Promise<unknown> {
  try {
    return await give();
  } catch (error) {
    if (error instanceof NomyoError) throw error;
    // Neither its text nor the error itself: what a secret store's error says may hold what it stores.
    throw new ConfigurationError("keyPassword", "The `keyPassword` function failed. Catch inside it to see why.");
  }
}
