/**
 * A server of the protocol that follows a script, behind a `fetch`: it answers each call as the script's next step
 * says, and tells when it stands still, so that a test need not wait for time to pass. It keeps account of what reached
 * it and of the bodies it gave out.
 */
import { createPublicKey } from "node:crypto";

import type { FetchInit, FetchLike } from "../../lib/http/fetch-transport.js";
import { echo, openWithNode, sealWithNode } from "./reference-server.js";
import type { KeyPair, Received } from "./reference-server.js";

/** What happens to one call. */
export type Step =
  | { readonly does: "answer"; readonly with: "good" | "other-id" | "lower-tier" | "no-choices" | "tampered" | "text" }
  | { readonly does: "status"; readonly status: number; readonly retryAfter?: string | undefined }
  | { readonly does: "fail"; readonly code: string; readonly syscall: string }
  | { readonly does: "stall"; readonly at: "headers" | "body"; readonly heeds: boolean }
  | { readonly does: "break"; readonly code: string };

/** What became of one call to the POST. */
export interface Call {
  readonly apiKey: string;
  /** It failed in a way that shows that nothing was sent. */
  unsent: boolean;
  /** Status and headers were given. */
  answered: boolean;
}

const neverSent = new Set(["ECONNREFUSED", "ENOTFOUND", "CERT_HAS_EXPIRED"]);

export class ScriptedServer {
  readonly calls: Call[] = [];
  /** Bodies that were given out and neither read to their end nor given back. */
  openBodies = 0;
  /** Calls that wait for something that never comes. */
  stalled = 0;
  /** Let go what stands still and does not heed its signal, as a slow server would, much too late. */
  readonly late: (() => void)[] = [];
  readonly #keys: KeyPair;
  readonly #gets: Step[];
  readonly #posts: Step[];

  constructor(keys: KeyPair, gets: readonly Step[], posts: readonly Step[]) {
    this.#keys = keys;
    this.#gets = [...gets];
    this.#posts = [...posts];
  }

  readonly fetch: FetchLike = async (_url, init) => {
    if (init.method === "GET") return await this.#step(this.#gets.shift() ?? good, init, () => this.#keys.publicPem);
    const call: Call = { apiKey: String(init.headers["Authorization"]), unsent: false, answered: false };
    this.calls.push(call);
    const step = this.#posts.shift() ?? good;
    return await this.#step(step, init, () => this.#answer(step, init), call);
  };

  #step(step: Step, init: FetchInit, text: () => string, call?: Call): Promise<Response> {
    const respond = (status: number, body: Body, headers: Record<string, string> = {}): Response => {
      if (call !== undefined) call.answered = true;
      return this.#response(status, body, headers);
    };
    switch (step.does) {
      case "answer":
        return Promise.resolve(respond(200, { text: text(), then: "end" }));
      case "status": {
        const headers: Record<string, string> = step.retryAfter === undefined ? {} : { "retry-after": step.retryAfter };
        return Promise.resolve(respond(step.status, { text: '{"detail":"no"}', then: "end" }, headers));
      }
      case "break":
        return Promise.resolve(respond(200, { text: text().slice(0, 20), then: "fail", code: step.code }));
      case "fail": {
        if (call !== undefined) call.unsent = neverSent.has(step.code) || step.syscall === "connect";
        const cause = Object.assign(new Error("of the network"), { code: step.code, syscall: step.syscall });
        return Promise.reject(new TypeError("fetch failed", { cause }));
      }
      case "stall": {
        this.stalled++;
        if (step.at === "body") {
          return Promise.resolve(respond(200, { text: text().slice(0, 20), then: "stall" }));
        }
        return new Promise((resolve, reject) => {
          if (step.heeds) init.signal.addEventListener("abort", () => reject(init.signal.reason as Error));
          else this.late.push(() => resolve(this.#response(200, { text: "late", then: "end" }, {})));
        });
      }
    }
  }

  /** By hand and not a `Response`, which knows fewer statuses than a server can send. */
  #response(status: number, body: Body, headers: Record<string, string>): Response {
    this.openBodies++;
    let open = true;
    const closed = (): void => {
      if (open) this.openBodies--;
      open = false;
    };
    const stream = new ReadableStream<Uint8Array>(
      {
        pull: (controller) => {
          if (body.text !== "") {
            controller.enqueue(new TextEncoder().encode(body.text.slice(0, 1000)));
            body = { ...body, text: body.text.slice(1000) };
            return undefined;
          }
          if (body.then === "stall") return new Promise(() => undefined);
          closed();
          if (body.then === "end") controller.close();
          else controller.error(Object.assign(new Error("of the network"), { code: body.code }));
          return undefined;
        },
        cancel: closed,
      },
      { highWaterMark: 0 },
    );
    return { status, headers: new Headers(headers), body: stream, redirected: false } as unknown as Response;
  }

  #answer(step: Step, init: FetchInit): string {
    const { plaintext } = openWithNode(Buffer.from(init.body!), this.#keys.privateKey);
    const clientKey = createPublicKey(decodeURIComponent(String(init.headers["X-Public-Key"])));
    const payloadId = String(init.headers["X-Payload-ID"]);
    const tier = init.headers["X-Security-Tier"];
    const received = {
      payload: JSON.parse(plaintext.toString("utf8")),
      payloadId,
      headers: tier === undefined ? {} : { "x-security-tier": tier },
    } as unknown as Received;
    const whole = echo(received) as { _metadata: Record<string, unknown>; choices?: unknown };
    const kind = step.does === "answer" ? step.with : "good";
    if (kind === "other-id") whole._metadata["payload_id"] = "another";
    if (kind === "lower-tier") whole._metadata["security_tier"] = "standard";
    if (kind === "no-choices") delete whole.choices;
    const plain = kind === "text" ? '"a text"' : JSON.stringify(whole);
    const sealed = sealWithNode(Buffer.from(plain), clientKey);
    if (kind === "tampered") (sealed["encrypted_payload"] as { tag: string }).tag = Buffer.alloc(16).toString("base64");
    return JSON.stringify(sealed);
  }
}

interface Body {
  readonly text: string;
  readonly then: "end" | "fail" | "stall";
  readonly code?: string;
}

const good: Step = { does: "answer", with: "good" };
