/** Secrets go to a command's output from the pool, and never become strings. */
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { native } from "../native.js";
import { harmlessParts, type Output } from "./output.js";

/** Writes the bytes and the end of a line; at a terminal they are made harmless. They stay the caller's to dispose of. */
export async function writeSecret(output: Output, secret: SecureBuffer): Promise<void> {
  const view = native.bufferView(secret.handle);
  try {
    await output.writeBytes([...(output.isTTY ? harmlessParts(view) : [view]), Buffer.from("\n")]);
  } finally {
    native.bufferReleaseView(secret.handle, view);
  }
}
