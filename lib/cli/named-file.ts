/** A file that a flag names: none of our secrets, which private-file reads; but a key of TLS, which Node keeps. */
import { open } from "node:fs/promises";
import { ConfigurationError } from "../errors.js";
import { systemReason } from "../system-reason.js";

/** More than a policy, a certificate or a file of settings has. A device has no end. */
const MAX_BYTES = 1024 * 1024;
/** More than a request or an answer has as it goes over the wire. */
export const MAX_MESSAGE_BYTES = 128 * 1024 * 1024;

/** All of `file`. Throws a {@link ConfigurationError} of `option` that says why when it cannot be read. */
export async function readNamed(option: string, file: string, maxBytes = MAX_BYTES): Promise<Buffer> {
  const bytes = await contentOf(file, maxBytes).catch((error: unknown) => {
    throw new ConfigurationError(option, `The file ${file} cannot be read (${systemReason(error)}).`);
  });
  if (bytes !== undefined) return bytes;
  throw new ConfigurationError(option, `The file ${file} is larger than ${maxBytes} bytes.`);
}

/** `undefined`: it is larger. The size that the system tells is not asked: of pipes and devices it is none. */
async function contentOf(file: string, maxBytes: number): Promise<Buffer | undefined> {
  const handle = await open(file, "r");
  const parts: Buffer[] = [];
  const part = Buffer.alloc(64 * 1024);
  try {
    for (let length = 0; length <= maxBytes;) {
      const { bytesRead } = await handle.read(part, 0, part.length, null);
      if (bytesRead === 0) return Buffer.concat(parts, length);
      parts.push(Buffer.from(part.subarray(0, bytesRead)));
      length += bytesRead;
    }
    return undefined;
  } finally {
    for (const copy of [part, ...parts]) copy.fill(0);
    await handle.close();
  }
}
