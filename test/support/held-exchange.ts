/**
 * Everything on the other side of a client under test, with an answer that waits: client → recorder → local router →
 * model.
 *
 * Recorder and model run in the test's own process, the router in one of its own, so none of their memory is the
 * client's.
 */
import { createPrivateKey } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { unwrapKey } from "../../lib/bench/node-envelope.js";
import { startLocalRouter } from "./local-router.js";
import type { LocalRouter } from "./local-router.js";
import { bytesOf, startModel, startServer } from "./model-server.js";
import type { TestServer } from "./model-server.js";

/** What tests need of a package on the wire; all base64. */
export interface SealedPackage {
  readonly encrypted_aes_key: string;
  readonly encrypted_payload: { readonly nonce: string; readonly ciphertext: string };
}

export class HeldExchange {
  #router!: LocalRouter;
  readonly #folder = mkdtempSync(join(tmpdir(), "nomyo-exchange-"));
  /** Another one than clients of tests load. Made for each exchange, it would take a second or more. */
  readonly #routerKey = createPrivateKey(readFileSync(join(__dirname, "keys/reference_server.pem")));
  #model!: TestServer;
  #recorder!: TestServer;
  #opened = new Gate<string>();
  #content = new Gate<string>();
  #request: SealedPackage | undefined;
  #answer: SealedPackage | undefined;

  static async start(): Promise<HeldExchange> {
    const exchange = new HeldExchange();
    exchange.#model = await startModel((request) => {
      exchange.#opened.resolve(request);
      return exchange.#content.promise;
    });
    exchange.#recorder = await startServer((request) => exchange.#forward(request));
    const keyFile = join(exchange.#folder, "key.pem");
    writeFileSync(keyFile, exchange.#routerKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
    exchange.#router = await startLocalRouter({ upstream: exchange.#model.url, args: ["--key-file", keyFile] });
    return exchange;
  }

  /** Forgets the former request: what follows is about the next one. */
  reset(): void {
    this.#content.resolve("");
    this.#opened = new Gate();
    this.#content = new Gate();
    this.#request = undefined;
    this.#answer = undefined;
  }

  /** What a client takes as `baseUrl`. */
  get baseUrl(): string {
    return this.#recorder.url;
  }

  /** The router's fingerprint, to pin. */
  get keySha256(): string {
    return this.#router.keySha256;
  }

  /** Settles with the opened request as soon as the model has it: from then on the answer waits. */
  get held(): Promise<string> {
    return this.#opened.promise;
  }

  /** Lets the model answer. */
  release(content: string): void {
    this.#content.resolve(content);
  }

  /**
   * The AES key of the request, unwrapped here with the router's own key: no part of the package has a way to tell it.
   */
  requestAesKey(): Buffer {
    return unwrapKey(this.#routerKey, this.#request!.encrypted_aes_key);
  }

  /** The packages that went by. */
  get request(): SealedPackage | undefined {
    return this.#request;
  }
  get answer(): SealedPackage | undefined {
    return this.#answer;
  }

  async stop(): Promise<void> {
    this.release("");
    await this.#recorder.stop();
    await this.#model.stop();
    await this.#router.stop();
    rmSync(this.#folder, { recursive: true });
  }

  async #forward(request: IncomingMessage): Promise<{ status: number; body: string }> {
    const sent = request.method === "POST" ? await bytesOf(request) : undefined;
    if (sent !== undefined) {
      this.#request = JSON.parse(sent.toString()) as SealedPackage;
    }
    const passed = ["content-type", "x-payload-id", "x-public-key", "x-security-tier"];
    const answer = await fetch(this.#router.url + request.url!, {
      method: request.method!,
      headers: passed.flatMap((name): [string, string][] => {
        const value = request.headers[name];
        return value === undefined ? [] : [[name, String(value)]];
      }),
      ...(sent === undefined ? {} : { body: sent }),
    });
    const body = await answer.text();
    if (sent !== undefined && answer.ok) this.#answer = JSON.parse(body) as SealedPackage;
    return { status: answer.status, body };
  }
}

/** A promise that is resolved from outside. */
class Gate<T> {
  resolve!: (value: T) => void;
  readonly promise = new Promise<T>((resolve) => (this.resolve = resolve));
}
