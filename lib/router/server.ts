/** The router's HTTP side: routes, who may pass, limits, the access log, and stopping. */
import http from "node:http";
import https from "node:https";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { Admission } from "../http/admission.js";
import { delivered } from "../http/answer-delivery.js";
import type { DeliveryLimits } from "../http/answer-delivery.js";
import type { Ticket } from "../http/admission.js";
import { complete } from "./completion.js";
import type { CompletionSettings } from "./completion.js";
import { errorKind } from "../http/error-kind.js";
import type { AccessEntry, RouterSettings } from "./options.js";
import { RateLimits } from "./rate-limit.js";
import { Disconnected, Refusal, unavailable } from "../http/refusal.js";
import { hostName, isOfAPage } from "../http/request-names.js";
import { KeyGuesses } from "../http/key-guesses.js";
import { HOLD_MS, Share, Turns } from "../http/turns.js";
import { WaitingConnections } from "./waiting-connections.js";

/** Milliseconds for a request's headers, and for the whole of it. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 120_000;
/**
 * What a client has to read its answer: within this it must take a byte, and within this all of it. The second is as
 * long as a large answer (47 MiB of plaintext, 62 as a package) takes at 1 Mbit/s.
 */
const ANSWER_LIMITS: DeliveryLimits = { idleMs: 30_000, totalMs: 600_000 };
/** How long a refused upload may go on before the connection is cut, so that the client gets to read the refusal. */
const LINGER_MS = 5_000;
/** So many pieces of it are thrown away whatever their size; from then on they are to have so many bytes on average. */
const LINGER_PIECES = 16;
const LINGER_MEAN_BYTES = 64;
const MAX_HEADER_BYTES = 16 * 1024;
/** Connections of which no request is admitted. Those with one are bounded by how many requests are. */
const MAX_WAITING_CONNECTIONS = 1024;
/**
 * Requests of one connection that wait for their answers; one more, and the connection ends. A client sends its next
 * request when it has its answer: thousands at once are no client's, and would be looked at before anybody else's.
 */
const MAX_UNANSWERED = 16;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** Gives back what the answer holds; to be called when it has left, or will not. */
  readonly release?: () => void;
}

export class RouterServer {
  readonly #settings: RouterSettings;
  readonly #completion: CompletionSettings;
  readonly #health: () => Record<string, unknown>;
  readonly #limiter: RateLimits | undefined;
  readonly #server: http.Server;
  readonly #running = new Set<AbortController>();
  readonly #admission: Admission;
  readonly #guesses = new KeyGuesses();
  readonly #waiting = new WaitingConnections(MAX_WAITING_CONNECTIONS);
  /** The requests of a connection whose answers have not left yet. */
  readonly #unanswered = new WeakMap<Duplex, Set<Exchange>>();
  /** Connections that end after an answer that is being made: what comes behind is not looked at. */
  readonly #closing = new WeakSet<Duplex>();
  /** Connections that were told that what they sent is none: nothing else is said on them. */
  readonly #broken = new WeakSet<Duplex>();
  /** Of requests that stand behind others of their connection. */
  readonly #behind = new Turns();
  /** Of uploads that were refused: nobody whose body is wanted waits for one of these. */
  readonly #refused = new Turns();
  readonly #behindOn = new WeakMap<Duplex, Set<() => void>>();
  #stopping = false;

  constructor(settings: RouterSettings, completion: CompletionSettings, health: () => Record<string, unknown>) {
    this.#settings = settings;
    this.#completion = completion;
    this.#health = health;
    this.#admission = new Admission(settings);
    this.#limiter = settings.rateLimit === undefined ? undefined : new RateLimits(settings.rateLimit);
    const options = {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1_000,
    };
    this.#server =
      settings.tls === undefined
        ? http.createServer(options)
        : https.createServer({
            ...options,
            cert: settings.tls.cert as string | Buffer,
            key: settings.tls.key as string | Buffer,
            minVersion: "TLSv1.2",
            handshakeTimeout: HEADERS_TIMEOUT_MS,
          });
    // As net.createServer has it, where http.createServer has no option for it: what a connection says first is read
    // in a turn of its own. Otherwise new connections, as many as there are, would all go before those that are known.
    if (settings.tls === undefined) Object.assign(this.#server, { pauseOnConnect: true });
    this.#server.on("connection", (socket) => {
      this.#waiting.opened(socket);
      if (settings.tls !== undefined) return;
      const listen = (): void => void socket.resume();
      completion.body.turns.wait(listen);
      socket.once("close", () => completion.body.turns.cancel(listen));
    });
    this.#server.on("request", (request, response) => void this.#serve(request, response, () => undefined));
    this.#server.on("checkContinue", (request, response) => {
      void this.#serve(request, response, () => response.writeContinue());
    });
    this.#server.on("clientError", (error, socket) => {
      // The end of the client that was told is no second fault.
      if (this.#broken.has(socket)) {
        socket.destroy();
        return;
      }
      const refused = refuseBrokenRequest(error, socket, this.#unanswered.get(socket));
      if (refused) this.#broken.add(socket);
    });
  }

  /** Resolves to the port when the socket listens; rejects with Node's error. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#settings.port, this.#settings.host, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server has no TCP address");
    return address.port;
  }

  get completionsUnderWay(): number {
    return this.#admission.underWay;
  }

  /** Takes no new requests, lets those under way finish for `stopTimeoutMs`, then cuts them. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const cut = setTimeout(() => {
      for (const controller of this.#running) controller.abort();
      this.#server.closeAllConnections();
    }, this.#settings.stopTimeoutMs);
    await closed;
    clearTimeout(cut);
  }

  /** A turn of a request that stands behind others; or the end of its connection. */
  async #turnOf(socket: Duplex): Promise<void> {
    await new Promise<void>((resolve) => {
      const waiting = this.#behindOn.get(socket) ?? new Set();
      if (!this.#behindOn.has(socket)) {
        this.#behindOn.set(socket, waiting);
        socket.once("close", () => {
          for (const goOn of waiting) {
            this.#behind.cancel(goOn);
            goOn();
          }
        });
      }
      const goOn = (): void => {
        waiting.delete(goOn);
        resolve();
      };
      waiting.add(goOn);
      this.#behind.wait(goOn);
    });
  }

  async #serve(request: http.IncomingMessage, response: http.ServerResponse, sendContinue: () => void): Promise<void> {
    const start = performance.now();
    const { socket } = request;
    if (this.#closing.has(socket)) return;
    if (socket.destroyed || (this.#unanswered.get(socket)?.size ?? 0) >= MAX_UNANSWERED) {
      socket.destroy();
      return;
    }
    const controller = new AbortController();
    response.on("close", () => controller.abort());
    // Errors of a connection show as "close"; without listeners they would end the process.
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    this.#running.add(controller);
    const behindOthers = this.#note(request, response);
    const route = routeOf(request);
    const entry = { route, status: 0, bytesIn: 0, bytesOut: 0, milliseconds: 0 };
    let release: Answer["release"];
    try {
      // Who waits for each answer does not notice; who does not would have all of his looked at before anybody else's.
      if (behindOthers) await this.#turnOf(socket);
      // Meanwhile one before it may have been refused, and what stands behind that is not looked at.
      if (request.socket.destroyed || this.#closing.has(socket) || this.#broken.has(socket)) return;
      const answer = await this.#answer(route, request, controller.signal, sendContinue, entry);
      release = answer.release;
      if (response.destroyed || this.#broken.has(socket)) return;
      entry.status = answer.status;
      entry.bytesOut = Buffer.byteLength(answer.body);
      await this.#send(request, response, answer);
    } catch (error) {
      // Nobody waits for this promise: what came out of it would end the process.
      this.#settings.log(`an answer could not be sent (${errorKind(error)})`);
      response.destroy();
    } finally {
      release?.();
      this.#running.delete(controller);
      entry.milliseconds = Math.round(performance.now() - start);
      this.#settings.accessLog?.(entry);
    }
  }

  /** Returns whether others of its connection have no answer yet. */
  #note(request: http.IncomingMessage, response: http.ServerResponse): boolean {
    const { socket } = request;
    const exchanges = this.#unanswered.get(socket) ?? new Set();
    this.#unanswered.set(socket, exchanges);
    const exchange = { request, response };
    exchanges.add(exchange);
    response.once("close", () => exchanges.delete(exchange));
    return exchanges.size > 1;
  }

  async #answer(
    route: AccessEntry["route"],
    request: http.IncomingMessage,
    signal: AbortSignal,
    sendContinue: () => void,
    entry: { bytesIn: number },
  ): Promise<Answer> {
    try {
      refuseTwoHosts(request);
      if (this.#settings.apiKeys.open) refusePages(request, this.#settings.host);
      if (route === "healthz") {
        const status = this.#stopping ? 503 : 200;
        return json(status, { status: this.#stopping ? "stopping" : "ok", ...this.#health() });
      }
      if (this.#stopping) throw unavailable("The server is stopping.", 5);
      if (route === "other") throw new Refusal(404, "There is nothing at this address.");
      if (!this.#settings.secureInference) throw new Refusal(404, "Secure inference is not enabled on this server.");
      if (route === "public_key") {
        return { status: 200, type: "text/plain; charset=utf-8", body: this.#completion.key.public.pem };
      }
      const ticket = this.#admit(request);
      try {
        const hooks = { sendContinue, run: () => ticket.run() };
        const { sealed, bodyBytes } = await complete(request, this.#completion, signal, hooks);
        entry.bytesIn = bodyBytes;
        return this.#toSend(sealed, ticket);
      } catch (error) {
        ticket.leave();
        throw error;
      }
    } catch (error) {
      if (error instanceof Refusal) {
        if (error.headers["connection"] === "close") this.#closing.add(request.socket);
        return json(error.status, { detail: error.message }, error.headers);
      }
      if (!(error instanceof Disconnected) && !signal.aborted) {
        // The message of an unforeseen error might quote what it was working on: only its kind is told.
        this.#settings.log(`internal error (${errorKind(error)})`);
      }
      return json(500, { detail: "The server failed." });
    }
  }

  /** Method, key, rate and load: all that can be decided without looking at the request itself. */
  #admit(request: http.IncomingMessage): Ticket {
    if (request.method !== "POST") throw new Refusal(405, "Use POST.", { allow: "POST" });
    let key = 0;
    if (!this.#settings.apiKeys.open) {
      const identified = this.#settings.apiKeys.identify(request.headers.authorization);
      if (identified === null) {
        throw this.#unknownKey(request.headers.authorization !== undefined);
      }
      key = identified;
    }
    this.#limiter?.take(key);
    const ticket = this.#admission.admit(key);
    const wait = this.#waiting.serve(request.socket);
    return {
      ...ticket,
      leave: () => {
        ticket.leave();
        wait();
      },
    };
  }

  #unknownKey(given: boolean): Refusal {
    const seconds = given ? this.#guesses.count() : 0;
    const close = given ? { connection: "close" } : {};
    if (seconds === 0) {
      return new Refusal(401, "The API key is missing or not known.", { "www-authenticate": "Bearer", ...close });
    }
    const detail = "The API key is not known, like many others of late. One that is known would be answered.";
    return new Refusal(429, detail, { "retry-after": String(seconds), ...close });
  }

  /** A sealed answer, which is held, and counted, until the client has it: he may read it slowly, or never. */
  #toSend(sealed: Uint8Array, ticket: Ticket): Answer {
    const { budget } = this.#completion.body;
    // What V8 says it is: the memory of a large package may be more, by less than a huge page.
    budget.take(sealed.length);
    ticket.send();
    const release = (): void => {
      budget.release(sealed.length);
      ticket.leave();
    };
    return { status: 200, type: "application/octet-stream", body: sealed, release };
  }

  async #send(request: http.IncomingMessage, response: http.ServerResponse, answer: Answer): Promise<void> {
    const unread = !request.complete && !hasNoBody(request);
    response.writeHead(answer.status, {
      "content-type": answer.type,
      "content-length": Buffer.byteLength(answer.body),
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...answer.headers,
      ...(unread || this.#stopping ? { connection: "close" } : {}),
    });
    const sent = delivered(response, ANSWER_LIMITS);
    // With `connection: close` Node closes as soon as the response ends. Its bytes are complete without that, by their
    // length.
    const last = answer.headers?.["connection"] === "close";
    if (unread || last) response.write(answer.body);
    if (unread) await linger(request, this.#refused);
    else if (last) await held(response);
    response.end(unread || last ? undefined : answer.body);
    await sent;
  }
}

/**
 * Throws away what a refused client still sends, for a moment: closing at once would reset the connection, and the
 * reset can overtake the refusal on its way.
 */
async function linger(request: http.IncomingMessage, turns: Turns): Promise<void> {
  const goOn = (): void => void request.resume();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, LINGER_MS);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    let pieces = 0;
    let bytes = 0;
    const share = new Share(turns);
    request.on("data", (piece: Buffer) => {
      pieces += 1;
      bytes += piece.length;
      // A flood of tiny chunks would take more of the time of others than the refusal is worth.
      if (pieces > LINGER_PIECES + bytes / LINGER_MEAN_BYTES) {
        request.pause();
        done();
      } else if (share.isUsedUp(piece.length, goOn)) request.pause();
    });
    request.once("end", done);
    request.once("close", done);
    request.resume();
  });
  turns.cancel(goOn);
}

/** See {@link HOLD_MS}. */
async function held(response: http.ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, HOLD_MS);
    response.once("close", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/**
 * RFC 9112 3.2: a request with two Host headers is refused, since a proxy in front may have gone by the other one; and
 * what stands behind it on the connection is not looked at.
 */
function refuseTwoHosts({ headersDistinct }: http.IncomingMessage): void {
  if ((headersDistinct["host"]?.length ?? 0) < 2) return;
  throw new Refusal(400, "The request has more than one Host header.", { connection: "close" });
}

/**
 * Without API keys being able to reach the router is all that it takes, and every page that a browser on its machine or
 * network shows can reach it. A page that rebinds DNS calls it by the page's own name; an address is nobody else's.
 */
function refusePages({ headers }: http.IncomingMessage, listensOn: string): void {
  if (headers.host === undefined) throw new Refusal(400, "The request has no Host header.");
  const name = hostName(headers.host);
  if (isIP(name) === 0 && name !== "localhost" && name !== listensOn.toLowerCase()) {
    throw new Refusal(
      421,
      "Without API keys this server answers to its address, to localhost and to the name that it listens on, and the " +
        "request's Host is none of them. Call it by one of these, or start it with API keys.",
    );
  }
  if (isOfAPage(headers.origin, headers["sec-fetch-site"]?.toString())) {
    throw new Refusal(403, "Without API keys this server takes no requests of pages in a browser.");
  }
}

function hasNoBody(request: http.IncomingMessage): boolean {
  const { "content-length": length, "transfer-encoding": encoding } = request.headers;
  return encoding === undefined && (length === undefined || length === "0");
}

function routeOf(request: http.IncomingMessage): AccessEntry["route"] {
  const path = (request.url ?? "").split("?", 1)[0];
  const reads = request.method === "GET" || request.method === "HEAD";
  if (path === "/v1/chat/secure_completion") return "secure_completion";
  if (path === "/pki/public_key" && reads) return "public_key";
  if (path === "/healthz" && reads) return "healthz";
  return "other";
}

function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, type: "application/json", body: JSON.stringify(value), headers };
}

interface Exchange {
  readonly request: http.IncomingMessage;
  readonly response: http.ServerResponse;
}

/**
 * What is not HTTP, or too much of it, gets an answer of the protocol's shape where one can still be written.
 *
 * It can where the connection owes no other answer. A request that is whole, before the broken one, is answered as if
 * nothing had come behind it, and then the connection ends: an answer written at once would be taken for that
 * request's.
 *
 * @returns whether it was told.
 */
function refuseBrokenRequest(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  unanswered: ReadonlySet<Exchange> | undefined,
): boolean {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return false;
  }
  const owed = [...(unanswered ?? [])].filter(({ request, response }) => request.complete || response.headersSent);
  if (owed.length > 0) {
    const endAfterLast = (): void => {
      if (owed.every(({ response }) => response.writableFinished || response.destroyed)) endSoon(socket);
    };
    for (const { response } of owed) response.once("close", endAfterLast);
    return false;
  }
  const detail =
    error.code === "HPE_HEADER_OVERFLOW"
      ? `The headers are larger than ${MAX_HEADER_BYTES} bytes.`
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "The request did not arrive in time."
        : "This is not an HTTP request.";
  const body = JSON.stringify({ detail });
  endSoon(
    socket,
    "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: " +
      `${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
  return true;
}

/**
 * Ends the connection, at the latest some seconds later, whatever the other side does: nothing else looks after a
 * broken one.
 */
function endSoon(socket: Duplex, last = ""): void {
  // Not the parser's any more, which would complain of all that follows.
  socket.removeAllListeners("data");
  let bytes = 0;
  socket.on("data", (piece: Buffer) => {
    bytes += piece.length;
    if (bytes > MAX_HEADER_BYTES) socket.destroy();
  });
  socket.pause();
  const end = (): void => {
    // So that the client's own end is seen.
    socket.resume();
    socket.end();
  };
  const timers = [setTimeout(end, HOLD_MS), setTimeout(() => socket.destroy(), LINGER_MS)];
  socket.once("close", () => timers.forEach(clearTimeout));
  socket.write(last);
}
