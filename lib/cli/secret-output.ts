/** Secrets go to a command's output from the pool, and never become strings. */
import type { SecureBuffer } from "../memory/secure-buffer.js";
import { withHeldView } from "../memory/pool-bytes.js";
import { harmlessParts } from "./output.js";
import type { Output } from "./output.js";

/**
 * Writes the bytes and the end of a line; at a terminal they are made harmless. They stay the caller's to dispose of.
 */
export async function writeSecret(output: Output, secret: SecureBuffer): Promise<void> {
  await withHeldView(secret.handle, (view) =>
    output.writeBytes([...(output.isTTY ? harmlessParts(view) : [view]), Buffer.from("\n")]),
  );
}
