/** The channels of `node:diagnostics_channel`, their messages, and the timing of phases. */
// By name: the declarations of a default import only serve those who compile with esModuleInterop.
import { channel, tracingChannel } from "node:diagnostics_channel";

import type { Sent } from "../errors.js";
import type { LockFailure, MemoryInfo } from "../native.js";

/** The phases of an attempt, in their order. */
export type Phase = "client-key" | "rate-limit" | "server-key" | "seal" | "exchange" | "read" | "open" | "verify";

/**
 * The message of the tracing channel `nomyo:request` (so of the channels `tracing:nomyo:request:start`, `:end`,
 * `:asyncStart`, `:asyncEnd` and `:error`): one object for one request, filled as it goes on. Sizes, times and ids; no
 * prompt, answer or key.
 */
export interface RequestTrace {
  /** Base URL. */
  readonly server: string;
  readonly model: string;
  readonly securityTier: string | undefined;
  /** Attempts begun so far. */
  attempts: number;
  /** Payload id of the last attempt. */
  payloadId?: string;
  /** HTTP status of the last attempt. */
  status?: number;
  /** Size of the sealed request in bytes. */
  requestBytes?: number;
  /** Size of the sealed answer in bytes. */
  responseBytes?: number;
  /** Of the whole request, all attempts and waits between them; set when it has ended. */
  milliseconds?: number;
  /** Set when the request failed: its code and whether the server may have processed it. */
  errorCode?: string;
  sent?: Sent | undefined;
  /** Set when the request failed (on `:error`), as Node's tracing channels do. */
  error?: unknown;
}

/** The message of the channel `nomyo:request:phase`: one phase of an attempt has ended, well or not. */
export interface PhaseTrace {
  readonly request: RequestTrace;
  readonly attempt: number;
  readonly phase: Phase;
  readonly milliseconds: number;
  readonly ok: boolean;
}

/** The message of the channel `nomyo:request:retry`: an attempt has failed and another one will be made. */
export interface RetryTrace {
  readonly request: RequestTrace;
  /** The attempt that failed, from 1. */
  readonly attempt: number;
  readonly errorCode: string;
  /** Before the next attempt. */
  readonly waitMilliseconds: number;
}

/** The message of the channel `nomyo:server-key`. Fingerprints are public. */
export interface ServerKeyTrace {
  readonly event: "first-seen" | "changed" | "pin-mismatch" | "known-mismatch";
  readonly server: string;
  readonly fingerprint: string;
  readonly before?: string;
}

/** The message of the channel `nomyo:memory`, once for each client: memory is less protected than was hoped for. */
export interface MemoryTrace {
  /** `weaker-mechanism`: locked, but by `mlock`; `not-locked`: not locked, under `"preferred"`. */
  readonly event: "weaker-mechanism" | "not-locked";
  /** How memory is locked at this moment. */
  readonly mechanism: MemoryInfo["mechanism"];
  /** The call that failed; `null` when it is not known. */
  readonly because: LockFailure | null;
}

export const requestChannel = tracingChannel<unknown, RequestTrace>("nomyo:request");
export const phaseChannel = channel("nomyo:request:phase");
export const retryChannel = channel("nomyo:request:retry");
export const memoryChannel = channel("nomyo:memory");
export const serverKeyChannel = channel("nomyo:server-key");

/**
 * Runs `work` between the channel's events. Node's own `tracePromise` would put the result, which is the answer, into
 * the message: this does not.
 */
export async function traceRequest<T>(trace: RequestTrace, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const settle = (error?: unknown): void => {
    trace.milliseconds = performance.now() - started;
    if (error !== undefined) {
      const { code, sent } = error as { code?: unknown; sent?: Sent };
      trace.error = error;
      trace.errorCode = typeof code === "string" ? code : "UNKNOWN";
      trace.sent = sent;
      requestChannel.error.publish(trace);
    }
    requestChannel.asyncStart.publish(trace);
    requestChannel.asyncEnd.publish(trace);
  };
  // runStores, so that a tracer can make its span current for all that the request does.
  const running = requestChannel.start.runStores(trace, work);
  requestChannel.end.publish(trace);
  try {
    const result = await running;
    settle();
    return result;
  } catch (error) {
    settle(error);
    throw error;
  }
}

/** Runs one phase and publishes how long it took. */
export function tracePhase<T>(trace: RequestTrace, phase: Phase, work: () => T | Promise<T>): T | Promise<T> {
  return phaseChannel.hasSubscribers ? timedPhase(trace, phase, work) : work();
}

async function timedPhase<T>(trace: RequestTrace, phase: Phase, work: () => T | Promise<T>): Promise<T> {
  const started = performance.now();
  let ok = false;
  try {
    const result = await work();
    ok = true;
    return result;
  } finally {
    const message: PhaseTrace = {
      request: trace,
      attempt: trace.attempts,
      phase,
      milliseconds: performance.now() - started,
      ok,
    };
    phaseChannel.publish(message);
  }
}
