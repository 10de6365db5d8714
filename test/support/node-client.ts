/**
 * A client of the protocol over node:http and Node's crypto, for tests of the router: it sends what it is told, right
 * or wrong.
 */
import { randomUUID } from "node:crypto";
import * as http from "node:http";
import * as https from "node:https";
import { nodeOpen, nodeSeal } from "./node-package.js";
import type { NodeKeyPair } from "./node-package.js";

export interface RawAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface RawRequest {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  readonly body?: Uint8Array;
  readonly ca?: string;
}

/** One request on a connection of its own. Rejects when the connection fails before the answer is whole. */
export async function fetchRaw(
  url: string,
  { method = "GET", headers = {}, body, ca }: RawRequest = {},
): Promise<RawAnswer> {
  return await new Promise((resolve, reject) => {
    const send = url.startsWith("https:") ? https.request : http.request;
    const request = send(url, { method, headers, agent: false, ...(ca === undefined ? {} : { ca }) }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

export interface Target {
  readonly url: string;
  readonly publicKey: { readonly pem: string };
}

export function secureHeaders(client: NodeKeyPair, more: http.OutgoingHttpHeaders = {}): http.OutgoingHttpHeaders {
  return {
    "content-type": "application/octet-stream",
    "x-payload-id": randomUUID(),
    "x-public-key": encodeURIComponent(client.publicPem),
    ...more,
  };
}

/** Sends a body as it is. */
export async function postPackage(
  router: Target,
  client: NodeKeyPair,
  body: Uint8Array,
  headers: http.OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  return await fetchRaw(`${router.url}/v1/chat/secure_completion`, {
    method: "POST",
    headers: secureHeaders(client, { "content-length": body.length, ...headers }),
    body,
  });
}

export interface ChatAnswer {
  readonly choices: readonly {
    readonly message: {
      readonly role: string;
      readonly content: string | null;
      readonly tool_calls?: readonly unknown[];
    };
    readonly finish_reason: string;
  }[];
  readonly _metadata: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

/** Seals a request, sends it and opens the answer; throws when the answer is not a package. */
export async function chat(
  router: Target,
  client: NodeKeyPair,
  request: unknown,
  headers: http.OutgoingHttpHeaders = {},
): Promise<{ answer: ChatAnswer; plaintext: string; raw: RawAnswer }> {
  const raw = await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)), headers);
  if (raw.status !== 200) throw new Error(`status ${raw.status}: ${raw.body.toString("utf8")}`);
  const { plaintext } = nodeOpen(client.privatePem, raw.body);
  return { answer: JSON.parse(plaintext) as ChatAnswer, plaintext, raw };
}

/** The `detail` of a refusal. */
export function detailOf(answer: RawAnswer): string {
  const { detail } = JSON.parse(answer.body.toString("utf8")) as { detail: string };
  return detail;
}
