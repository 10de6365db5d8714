/**
 * What becomes of whatever ended an attempt: the public error, which says whether the server may have processed the
 * request.
 */
import { APIConnectionError, APIConnectionTimeoutError, APIUserAbortError, NomyoError } from "../errors.js";
import type { Sent } from "../errors.js";
import { ConnectionFailure } from "../http/transport.js";
import { fromNative } from "../native-error.js";

/** How far an attempt came. */
export interface Fate {
  readonly sent: Sent;
  readonly payloadId: string | undefined;
}

/** Before anything was sent. */
export const notSent: Fate = { sent: "no", payloadId: undefined };

const order: readonly Sent[] = ["no", "maybe", "yes"];

/** The one of two that says more. */
export function further(a: Sent, b: Sent): Sent {
  return order.indexOf(a) >= order.indexOf(b) ? a : b;
}

/** The public error for whatever ended an attempt, with `sent` and the payload id. */
export function complete(failure: unknown, { sent, payloadId }: Fate): unknown {
  let error = fromNative(failure, "opening");
  if (error instanceof ConnectionFailure) {
    error = new APIConnectionError(`${error.message}.`, {
      // A failure to fetch the server's key is one before the request was sent, whatever became of that fetch.
      sent: sent === "no" ? "no" : error.sent,
      payloadId,
      code: "CONNECTION",
      cause: error,
    });
  }
  if (error instanceof NomyoError) {
    error.sent ??= sent;
    if (payloadId !== undefined) error.payloadId ??= payloadId;
    if (error instanceof APIConnectionTimeoutError || error instanceof APIUserAbortError)
      error.sent = further(error.sent, sent);
  }
  return error;
}
