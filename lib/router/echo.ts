/**
 * The echo model: deterministic answers, so that clients can be tried and tested without a language model.
 *
 * What it says is core/echo's: this is what a model of the router is around it. Request and answer stay in the pool.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { echoAnswer } from "../memory/echo-answer.js";
import type { PoolBytes } from "../memory/pool-bytes.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { nativeCode } from "../native-error.js";
import { Disconnected, Refusal } from "../http/refusal.js";
import { METADATA_ROOM } from "./metadata.js";
import type { Model } from "./model.js";

export interface EchoSettings {
  /** How long each answer takes, for tests of time-outs and cancellation; milliseconds. */
  readonly delayMs: number;
  readonly maxAnswerBytes: number;
  readonly maxDepth: number;
  readonly locking: Locking;
}

export class EchoModel implements Model {
  readonly kind = "echo";
  readonly #settings: EchoSettings;

  constructor(settings: EchoSettings) {
    this.#settings = settings;
  }

  async complete(request: SecureBuffer, signal: AbortSignal): Promise<PoolBytes> {
    const { delayMs, maxAnswerBytes, maxDepth, locking } = this.#settings;
    const created = Math.floor(Date.now() / 1000);
    const options = { created, maxBytes: maxAnswerBytes, maxDepth, room: METADATA_ROOM };
    const answer = await echoAnswer(request, options, locking, signal).catch((error: unknown) => {
      throw asRefusal(error);
    });
    if (delayMs > 0) {
      await sleep(delayMs, undefined, { signal }).catch(() => {
        answer.dispose();
        throw new Disconnected();
      });
    }
    return answer;
  }
}

function asRefusal(error: unknown): unknown {
  switch (nativeCode(error)) {
    case "PLAINTEXT":
      return new Refusal(400, (error as Error).message);
    case "TOO_LARGE":
      return new Refusal(
        400,
        "The echo model's answer would be too large, or a JSON schema in the request costs too much to follow: ask " +
          "for less.",
      );
    default:
      return error;
  }
}
