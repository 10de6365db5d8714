/** Reading a request's body within limits. What is read here is ciphertext: ordinary memory will do. */
import type { IncomingMessage } from "node:http";
import { GrowingBytes } from "./growing-bytes.js";
import { Disconnected, Refusal, unavailable } from "./refusal.js";
import { Share } from "./turns.js";
import type { Turns } from "./turns.js";

/** Bounds the bytes of all bodies that are held at one time: those that come, and answers until they have left. */
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

export interface BodyLimits {
  readonly maxBytes: number;
  readonly budget: BodyBudget;
  /** Milliseconds without a byte after which a body counts as one that will not arrive. */
  readonly idleMs: number;
  /** In which bodies that are not small are read. */
  readonly turns: Turns;
}

export interface ReceivedBody {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /**
   * Bytes taken from the budget, for the caller to release: the memory that is held, which may be more than the body.
   */
  readonly held: number;
}

/**
 * So many pieces may be as small as they like; from then on they are to have {@link LEAST_MEAN_BYTES} bytes on average.
 */
const FREE_PIECES = 1024;
/** A piece costs work for its framing, whatever it holds: nobody who means well sends one byte at a time. */
const LEAST_MEAN_BYTES = 64;

/**
 * Reads the whole body. Refused with a 400: one over `maxBytes`, by its Content-Length or as soon as the first byte too
 * many arrives; one that stops arriving; one in a great many pieces of next to nothing. Rejects with `Disconnected`
 * when the client goes away.
 */
export async function readBody(
  request: IncomingMessage,
  { maxBytes, budget, idleMs, turns }: BodyLimits,
): Promise<ReceivedBody> {
  const declared = Number(request.headers["content-length"] ?? 0);
  if (declared > maxBytes) throw tooLarge(maxBytes);
  // As memory is taken, not as it is filled. Content-Length is a claim: nothing is taken for it.
  const body = new GrowingBytes(declared > 0 ? declared : maxBytes, (more) => budget.take(more));
  let pieces = 0;
  const share = new Share(turns);
  const goOn = (): void => {
    // That it had to wait was not the client's doing.
    idle?.refresh();
    request.resume();
  };
  let idle: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      idle = setTimeout(() => {
        request.pause();
        reject(new Refusal(400, "The body did not arrive in time."));
      }, idleMs);
      request.on("data", (piece: Buffer) => {
        idle?.refresh();
        pieces += 1;
        try {
          if (body.length + piece.length > maxBytes) throw tooLarge(maxBytes);
          if (pieces > FREE_PIECES + (body.length + piece.length) / LEAST_MEAN_BYTES) {
            throw new Refusal(400, "The body comes in pieces that are too small.");
          }
          body.append(piece);
          if (share.isUsedUp(piece.length, goOn)) request.pause();
        } catch (error) {
          request.pause();
          reject(error);
        }
      });
      request.on("end", resolve);
      // An aborted upload gives "error" (ECONNRESET) and then "close"; both mean that nobody waits any more.
      request.on("error", () => reject(new Disconnected()));
      request.on("close", () => reject(new Disconnected()));
    });
  } catch (error) {
    budget.release(body.capacity);
    throw error;
  } finally {
    turns.cancel(goOn);
    clearTimeout(idle);
    request.removeAllListeners("data");
  }
  return { bytes: body.bytes, held: body.capacity };
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(400, `The body is too large: ${maxBytes} bytes are allowed.`);
}
