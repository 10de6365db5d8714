/** Reading a request's body within limits. What is read here is ciphertext: ordinary memory will do. */
import type { IncomingMessage } from "node:http";
import { Disconnected, Refusal, unavailable } from "./refusal.js";

/** Bounds the bytes of all bodies that are held at one time. */
export class BodyBudget {
  readonly #limit: number;
  #used = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  take(bytes: number): void {
    if (this.#used + bytes > this.#limit) throw unavailable("The server is busy with other large requests.", 1);
    this.#used += bytes;
  }

  release(bytes: number): void {
    this.#used -= bytes;
  }
}

/**
 * Reads the whole body, of `maxBytes` at most: a larger one is refused with a 400 by its Content-Length, or else as soon as the first byte
 * too many arrives. The bytes stay taken from `budget` until the caller releases `result.length`.
 */
export async function readBody(request: IncomingMessage, maxBytes: number, budget: BodyBudget): Promise<Buffer> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      request.on("data", (chunk: Buffer) => {
        try {
          if (length + chunk.length > maxBytes) throw tooLarge(maxBytes);
          budget.take(chunk.length);
        } catch (error) {
          request.pause();
          reject(error);
          return;
        }
        length += chunk.length;
        chunks.push(chunk);
      });
      request.on("end", resolve);
      // An aborted upload gives "error" (ECONNRESET) and then "close"; both mean that nobody waits any more.
      request.on("error", () => reject(new Disconnected()));
      request.on("close", () => reject(new Disconnected()));
    });
  } catch (error) {
    budget.release(length);
    throw error;
  } finally {
    request.removeAllListeners("data");
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length);
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(400, `The body is too large: ${maxBytes} bytes are allowed.`);
}
