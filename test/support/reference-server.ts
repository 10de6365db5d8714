/**
 * A server of the protocol, written from the specification with Node's own crypto, independent of the package's core:
 * the client must get along with it. Each test may replace a step.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { openBytes, sealBytes, unwrapKey } from "../../lib/bench/node-envelope.js";

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly publicPem: string;
  /** SHA-256 of the SPKI DER in hex. */
  readonly fingerprint: string;
}

export function makeKeyPair(bits = 4096): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: bits });
  return describeKey(privateKey, publicKey);
}

function describeKey(privateKey: KeyObject, publicKey: KeyObject): KeyPair {
  const der = publicKey.export({ type: "spki", format: "der" });
  return {
    privateKey,
    publicKey,
    publicPem: publicKey.export({ type: "spki", format: "pem" }) as string,
    fingerprint: createHash("sha256").update(der).digest("hex"),
  };
}

let shared: KeyPair | undefined;
/** The key of all servers that need none of their own: making one takes a second. Not the vectors' key. */
export function sharedKeyPair(): KeyPair {
  if (shared !== undefined) return shared;
  const privateKey = createPrivateKey(readFileSync(join(__dirname, "keys/reference_server.pem")));
  return (shared = describeKey(privateKey, createPublicKey(privateKey)));
}

/** Opens a package as PROTOCOL section 2 describes it. */
export function openWithNode(
  body: Buffer,
  privateKey: KeyObject,
): { plaintext: Buffer; aesKey: Buffer; nonce: Buffer } {
  const sealed = JSON.parse(body.toString("utf8"));
  if (sealed.version !== "1.0" || sealed.algorithm !== "hybrid-aes256-rsa4096") throw new Error("algorithm");
  if (sealed.key_algorithm !== "RSA-OAEP-SHA256" || sealed.payload_algorithm !== "AES-256-GCM")
    throw new Error("names");
  const aesKey = unwrapKey(privateKey, sealed.encrypted_aes_key);
  const [nonce, tag] = ["nonce", "tag"].map((name) => Buffer.from(sealed.encrypted_payload[name], "base64"));
  if (aesKey.length !== 32 || nonce!.length !== 12 || tag!.length !== 16) throw new Error("lengths");
  // A copy: the next call overwrites what `openBytes` gives.
  return { plaintext: Buffer.from(openBytes(privateKey, body)), aesKey, nonce: nonce! };
}

/** Seals a plaintext as PROTOCOL section 2 describes it. */
export function sealWithNode(plaintext: Buffer, publicKey: KeyObject, processedAt?: number): Record<string, unknown> {
  const sealed = JSON.parse(sealBytes(publicKey, plaintext).toString()) as Record<string, unknown>;
  return processedAt === undefined ? sealed : { ...sealed, processed_at: processedAt };
}

/** A request as the server saw it. */
export interface Received {
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
  readonly plaintext: Buffer;
  readonly aesKey: Buffer;
  readonly nonce: Buffer;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into any request
  readonly payload: any;
  readonly payloadId: string;
  readonly clientKey: KeyObject;
}

type Step = (request: http.IncomingMessage, response: http.ServerResponse) => void | Promise<void>;

export const processedAt = 1_765_250_382;

export class ReferenceServer {
  readonly server: http.Server | https.Server;
  readonly received: Received[] = [];
  /** All requests, as `METHOD /path`. */
  readonly log: string[] = [];
  connections = 0;
  keys: KeyPair = sharedKeyPair();
  readonly #sockets = new Set<Socket>();
  readonly #tls: boolean;

  /** Replaces the whole answer to the POST; called with the body read and not opened. */
  onPost:
    ((body: Buffer, request: http.IncomingMessage, response: http.ServerResponse) => void | Promise<void>) | undefined;
  /** Replaces the answer to the GET. */
  onGetKey: Step | undefined;
  /** Makes the plaintext answer. */
  answer: (received: Received) => unknown = echo;

  private constructor(tls: https.ServerOptions | undefined) {
    const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
      this.#handle(request, response).catch((error: unknown) => {
        response.writeHead(500, { "content-type": "application/json" });
        response.end(JSON.stringify({ detail: String(error) }));
      });
    };
    this.#tls = tls !== undefined;
    this.server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener);
    this.server.on("connection", (socket: Socket) => {
      this.connections++;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    // Handshakes that the client breaks off are part of some tests.
    this.server.on("tlsClientError", () => undefined);
  }

  static async start(tls?: https.ServerOptions): Promise<ReferenceServer> {
    const made = new ReferenceServer(tls);
    await new Promise<void>((resolve) => made.server.listen(0, "127.0.0.1", resolve));
    return made;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#tls ? "https" : "http"}://127.0.0.1:${this.port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  async #handle(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    this.log.push(`${request.method} ${request.url}`);
    if (request.method === "GET" && request.url === "/pki/public_key") {
      if (this.onGetKey !== undefined) return this.onGetKey(request, response);
      response.writeHead(200, { "content-type": "text/plain" });
      response.end(this.keys.publicPem);
      return;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    if (request.method !== "POST" || request.url !== "/v1/chat/secure_completion") {
      response.writeHead(404, { "content-type": "application/json" });
      response.end('{"detail":"Not Found"}');
      return;
    }
    await (this.onPost ?? this.reply.bind(this))(body, request, response);
  }

  /** Opens, answers and seals. */
  async reply(body: Buffer, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    let received: Received;
    try {
      received = this.receive(body, request);
    } catch {
      response.writeHead(400, { "content-type": "application/json" });
      response.end('{"detail":"Decryption failed"}');
      return;
    }
    const plaintext = Buffer.from(JSON.stringify(await this.answer(received)), "utf8");
    response.writeHead(200, { "content-type": "application/octet-stream", "x-request-id": "req-1" });
    response.end(JSON.stringify(sealWithNode(plaintext, received.clientKey, processedAt)));
  }

  receive(body: Buffer, request: http.IncomingMessage): Received {
    const opened = openWithNode(body, this.keys.privateKey);
    const received: Received = {
      ...opened,
      headers: request.headers,
      body,
      payload: JSON.parse(opened.plaintext.toString("utf8")),
      payloadId: String(request.headers["x-payload-id"]),
      clientKey: createPublicKey(decodeURIComponent(String(request.headers["x-public-key"]))),
    };
    this.received.push(received);
    return received;
  }
}

/** An answer with the last message's content, as a model would have given it. */
export function echo({ headers, payload, payloadId }: Received): Record<string, unknown> {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_765_250_380,
    model: payload.model,
    choices: [
      {
        index: 0,
        message: { role: "assistant", content: payload.messages.at(-1).content, refusal: null },
        logprobs: null,
        finish_reason: "stop",
      },
    ],
    usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
    _metadata: {
      payload_id: payloadId,
      response_status: "success",
      security_tier: headers["x-security-tier"] ?? "standard",
      memory_protection: { locked: true },
      tpm_attestation: { is_available: false },
    },
  };
}

/** An answer that calls a tool, as OpenAI's API has it. */
export const callTool = ({ payloadId }: Received) => ({
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [
    {
      index: 0,
      finish_reason: "tool_calls",
      logprobs: null,
      message: {
        role: "assistant",
        content: null,
        refusal: null,
        tool_calls: [{ id: "call-1", type: "function", function: { name: "weather", arguments: '{"city":"Köln"}' } }],
      },
    },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
  _metadata: { payload_id: payloadId },
});
