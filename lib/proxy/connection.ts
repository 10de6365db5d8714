/**
 * One connection of a client: requests come in, one after the other, and their answers go out.
 *
 * A request's bytes go from the socket into the pool and stay there; an answer's go from the pool to the socket, as
 * addresses: what the kernel has no room for waits as an address, not as a copy. Nothing of a body becomes a string.
 *
 * One request at a time: what a client sends before it has its answer is not read, and the connection ends after that
 * answer. So no two readers of one connection can differ about where a request begins.
 */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { hasWord, RequestFormatError, RequestReader } from "../http/http-request.js";
import type { RequestHead } from "../http/http-request.js";
import { MAX_HEAD_BYTES } from "../http/message-reader.js";
import { Refusal } from "../http/refusal.js";
import type { BodyBudget } from "../http/request-body.js";
import { HOLD_MS } from "../http/turns.js";
import { HeldView, PoolBytes, withHeldView } from "../memory/pool-bytes.js";
import type { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";
import { nativeCode } from "../native-error.js";
import { bodyLength, discard } from "./answer.js";
import type { Answer } from "./answer.js";

/** What a connection does with a request whose head is there. */
export interface Admitted {
  /** Bytes that the body may have; 0: it must have none. */
  readonly maxBodyBytes: number;
  /** It is refused with this, whatever its body holds. */
  readonly refused?: Answer;
  /** The connection ends after the answer. */
  readonly last?: boolean;
  /**
   * Never rejects. `body` is the callee's from now on. `signal` aborts when the client goes away.
   */
  answer(body: SecureBuffer | undefined, signal: AbortSignal): Promise<Answer>;
  /** The request is over, whether it was answered or not. Called once. `status` is 0 when there was no answer. */
  over(outcome: Outcome): void;
}

export interface Outcome {
  readonly status: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface ConnectionSettings {
  readonly locking: Locking;
  readonly budget: BodyBudget;
  readonly times: ConnectionTimes;
  /** Headers that are looked at, in lower case. */
  readonly headers: readonly string[];
  /** Decides by the head alone. Never throws. */
  readonly admit: (head: RequestHead) => Admitted;
  /** The answer to what is no request, or too much of one. */
  readonly refuse: (error: RequestFormatError | Refusal) => Answer;
  /** An error that should not be. */
  readonly failed: (error: unknown) => void;
  readonly isStopping: () => boolean;
}

/** Milliseconds. */
export interface ConnectionTimes {
  /** Without a request, between two of them too. */
  readonly idle: number;
  /** For a head, from its first byte. */
  readonly head: number;
  /** For a whole request, from its head on. */
  readonly request: number;
  /** Without a byte of a body that is awaited, or without a byte of an answer that the client takes. */
  readonly stall: number;
  /** For a client to read a refusal, or to close. */
  readonly linger: number;
}

export const defaultTimes: ConnectionTimes = {
  idle: 65_000,
  head: 10_000,
  request: 120_000,
  stall: 60_000,
  linger: 2_000,
};

/** Pool memory for a body that has just begun. */
const FIRST_BYTES = 4 * 1024;
/** So much is given to the socket at one time, so that a client that reads slowly shows. */
const WRITE_BYTES = 64 * 1024;
/**
 * So many pieces may be as small as they like; from then on they are to have {@link LEAST_MEAN_BYTES} bytes on average.
 */
const FREE_PIECES = 1024;
/** A piece costs work for its framing, whatever it holds: nobody who means well sends one byte at a time. */
const LEAST_MEAN_BYTES = 64;

/** `idle`: between requests. `closing`: nothing that comes is looked at. */
type State = "idle" | "receiving" | "answering" | "closing";

/**
 * `silent`: nothing has come. `dripping`: a request's headers are coming. `leaving`: it was answered, and ends. `kept`:
 * between requests of which one at least was not refused.
 */
export type Idleness = "silent" | "dripping" | "leaving" | "kept";

/** A request that is coming in. */
interface Receiving {
  readonly reader: RequestReader;
  readonly line: HeldView;
  head?: RequestHead;
  admitted?: Admitted;
  body?: PoolBytes;
  bodyBytes: number;
  pieces: number;
}

export class Connection {
  readonly #settings: ConnectionSettings;
  #socket!: Socket;
  #state: State = "idle";
  #receiving: Receiving | undefined;
  #controller: AbortController | undefined;
  /** Whether the connection ends after the answer that is being made. */
  #last = false;
  /** Whether a request of it was one that is served here. */
  #kept = false;
  /** Whether the last answer went out whole. */
  #written = false;
  #timer: NodeJS.Timeout | undefined;
  #stall: NodeJS.Timeout | undefined;
  /** Settles when the socket is closed: until then the kernel may be given addresses of the pool. */
  closed!: Promise<void>;

  constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  /** Undefined while a request of it is served. */
  get idleness(): Idleness | undefined {
    if (this.#state === "idle") return this.#kept ? "kept" : "silent";
    if (this.#state === "closing") return "leaving";
    return this.#state === "receiving" && this.#receiving?.admitted === undefined ? "dripping" : undefined;
  }

  /** `socket` reads into memory of the pool, and gives what it has read to {@link take}. */
  start(socket: Socket): void {
    this.#socket = socket;
    socket.setNoDelay(true);
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => socket.destroy());
    socket.on("end", () => this.#ended());
    socket.once("close", () => {
      this.#clearTimers();
      this.#controller?.abort();
      this.#drop();
    });
    this.#arm(this.#settings.times.idle, () => socket.destroy());
  }

  /** Bytes have come; whoever calls wipes them afterwards. Returns whether more are wanted. */
  take(bytes: Uint8Array): boolean {
    if (this.#state === "closing") return true;
    if (this.#state === "answering") {
      this.#last = true;
      return false;
    }
    try {
      const receiving = (this.#receiving ??= this.#begin());
      const used = receiving.reader.push(bytes);
      if (!receiving.reader.complete) return true;
      const pipelined = used < bytes.length;
      if (pipelined) this.#last = true;
      this.#complete(receiving);
      return !pipelined;
    } catch (error) {
      this.#refuse(error);
      return true;
    }
  }

  /** Ends it when it is idle; else after the answer that is being made. */
  stop(): void {
    this.#last = true;
    if (this.#state === "idle") this.#socket.destroy();
  }

  /** Ends it at once, and what is being made of its request. */
  cut(): void {
    this.#socket.destroy();
  }

  #begin(): Receiving {
    const line = new HeldView(MAX_HEAD_BYTES, this.#settings.locking);
    this.#state = "receiving";
    this.#arm(this.#settings.times.head, () =>
      this.#refuse(new Refusal(408, "The request's headers did not arrive in time.")),
    );
    const receiving: Receiving = {
      line,
      bodyBytes: 0,
      pieces: 0,
      reader: new RequestReader(line.bytes, this.#settings.headers, {
        head: (head) => this.#head(receiving, head),
        body: (bytes) => this.#body(receiving, bytes),
      }),
    };
    return receiving;
  }

  #head(receiving: Receiving, head: RequestHead): void {
    const { times, admit } = this.#settings;
    receiving.head = head;
    if (head.minor === 0 || hasWord(head.headers.get("connection"), "close")) this.#last = true;
    const admitted = (receiving.admitted = admit(head));
    if (admitted.last === true) this.#last = true;
    this.#arm(times.request, () => this.#refuse(new Refusal(408, "The request did not arrive in time.")));
    if (admitted.refused !== undefined && (head.chunked || (head.contentLength ?? 0) > 0)) {
      throw new EarlyAnswer(admitted.refused);
    }
    if ((head.contentLength ?? 0) > admitted.maxBodyBytes) throw tooLarge(admitted.maxBodyBytes);
    if (admitted.maxBodyBytes === 0) return;
    receiving.body = new PoolBytes(this.#settings.locking, Math.min(head.contentLength ?? FIRST_BYTES, FIRST_BYTES));
    this.#armStall(() => this.#refuse(new Refusal(408, "The body did not arrive in time.")));
    if (hasWord(head.headers.get("expect"), "100-continue") && head.minor === 1) {
      this.#socket.write("HTTP/1.1 100 Continue\r\n\r\n");
    }
  }

  #body(receiving: Receiving, bytes: Uint8Array): void {
    const { body, admitted } = receiving;
    if (admitted === undefined) throw new Error("a body before its head");
    this.#stall?.refresh();
    receiving.pieces += 1;
    const length = receiving.bodyBytes + bytes.length;
    if (body === undefined || length > admitted.maxBodyBytes) throw tooLarge(admitted.maxBodyBytes);
    if (receiving.pieces > FREE_PIECES + length / LEAST_MEAN_BYTES) {
      throw new Refusal(400, "The body comes in pieces that are too small.");
    }
    this.#settings.budget.take(bytes.length);
    receiving.bodyBytes = length;
    body.append(bytes);
  }

  /** The request is there, whole. */
  #complete(receiving: Receiving): void {
    this.#clearTimers();
    this.#state = "answering";
    const { head, admitted, body, line } = receiving;
    if (head === undefined || admitted === undefined) throw new Error("a request without a head");
    this.#kept ||= admitted.refused === undefined;
    line.release();
    const controller = (this.#controller = new AbortController());
    delete receiving.body;
    const taken = body?.release();
    const answering = admitted.answer(taken, controller.signal);
    void answering.then((answer) => this.#send(receiving, answer)).catch((error: unknown) => this.#broken(error));
  }

  async #send(receiving: Receiving, answer: Answer): Promise<void> {
    try {
      await this.#write(answer, receiving.head?.method === "HEAD");
    } finally {
      discard(answer);
      this.#over(receiving, this.#socket.destroyed && !this.#written ? 0 : answer.status, bodyLength(answer.body));
    }
    if (this.#socket.destroyed) return;
    this.#controller = undefined;
    if (this.#last || this.#settings.isStopping()) {
      this.#closeAfter(receiving);
      return;
    }
    this.#state = "idle";
    this.#arm(this.#settings.times.idle, () => this.#socket.destroy());
  }

  async #write(answer: Answer, headOnly = false): Promise<void> {
    const { body } = answer;
    this.#written = false;
    this.#armStall(() => this.#socket.destroy());
    this.#socket.cork();
    // What the promise is of comes with the first piece, or with the end.
    void this.#put(this.#headOf(answer));
    try {
      if (!headOnly) await this.#putBody(body);
      else await this.#flush();
    } finally {
      clearTimeout(this.#stall);
    }
    this.#written = !this.#socket.destroyed;
  }

  async #putBody(body: Answer["body"]): Promise<void> {
    if (body instanceof Uint8Array) {
      await this.#putAll(body);
      return;
    }
    await withHeldView(body.memory.handle, async (view) => {
      await this.#putAll(view.subarray(0, body.length));
      // Whatever happens: the kernel may hold addresses of the view until the socket is closed.
      if (this.#socket.destroyed) await this.closed;
    });
    await this.#putAll(body.tail);
  }

  async #putAll(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length && !this.#socket.destroyed; at += WRITE_BYTES) {
      const put = this.#put(bytes.subarray(at, at + WRITE_BYTES));
      this.#socket.uncork();
      await put;
      this.#stall?.refresh();
    }
    await this.#flush();
  }

  async #flush(): Promise<void> {
    this.#socket.uncork();
    if (this.#socket.destroyed) await this.closed;
  }

  /** Settles when the kernel has the bytes, or the socket is closed. */
  #put(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.write(bytes, (error) => {
        if (error === undefined || error === null) resolve();
        else void this.closed.then(resolve);
      });
    });
  }

  #headOf({ status, headers, body }: Answer): Uint8Array {
    const lines = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}`,
      `content-length: ${bodyLength(body)}`,
      "cache-control: no-store",
      "x-content-type-options: nosniff",
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ...(this.#last || this.#settings.isStopping() ? ["connection: close"] : []),
    ];
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  }

  /** Answers with an error while the request is still coming, and ends the connection. */
  #refuse(cause: unknown): void {
    const receiving = this.#receiving;
    const error = asRefusal(cause);
    if (error === undefined && !(cause instanceof EarlyAnswer)) {
      this.#broken(cause);
      return;
    }
    this.#clearTimers();
    this.#last = true;
    this.#state = "closing";
    const answer = error === undefined ? (cause as EarlyAnswer).answer : this.#settings.refuse(error);
    void this.#write(answer)
      .then(() => {
        if (receiving !== undefined) this.#over(receiving, answer.status, bodyLength(answer.body));
        else this.#drop();
        this.#closeAfter(receiving);
      })
      .catch((failure: unknown) => this.#broken(failure));
  }

  #broken(error: unknown): void {
    this.#settings.failed(error);
    this.#socket.destroy();
  }

  /** Who asked for nothing that is served here is held for a moment: see {@link HOLD_MS}. */
  #closeAfter(receiving: Receiving | undefined): void {
    if (this.#socket.destroyed) return;
    this.#state = "closing";
    const { admitted } = receiving ?? {};
    if (admitted !== undefined && (admitted.refused?.status ?? 200) < 400) this.#close();
    else this.#arm(HOLD_MS, () => this.#close());
  }

  /** Ends the connection so that the client gets to read what was written: a reset would overtake it. */
  #close(): void {
    this.#state = "closing";
    const socket = this.#socket;
    socket.end();
    socket.resume();
    this.#arm(this.#settings.times.linger, () => socket.destroy());
  }

  /** The client sends no more: whoever waits for an answer keeps the connection open. */
  #ended(): void {
    this.#socket.destroy();
  }

  /** The request that was coming in is no more. */
  #drop(): void {
    if (this.#receiving !== undefined && this.#state !== "answering") this.#over(this.#receiving, 0, 0);
  }

  #over(receiving: Receiving, status: number, bytesOut: number): void {
    if (this.#receiving !== receiving) return;
    this.#receiving = undefined;
    receiving.line.release();
    // What was not handed on.
    receiving.body?.dispose();
    this.#settings.budget.release(receiving.bodyBytes);
    receiving.admitted?.over({ status, bytesIn: receiving.bodyBytes, bytesOut: status === 0 ? 0 : bytesOut });
  }

  #arm(milliseconds: number, ring: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(ring, milliseconds);
  }

  #armStall(ring: () => void): void {
    clearTimeout(this.#stall);
    this.#stall = setTimeout(ring, this.#settings.times.stall);
  }

  #clearTimers(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#stall);
  }
}

/** A request is answered before its body is there. */
class EarlyAnswer extends Error {
  constructor(readonly answer: Answer) {
    super("the request is refused by its head");
  }
}

function tooLarge(maxBytes: number): Refusal {
  if (maxBytes === 0) return new Refusal(400, "This request has no body.");
  return new Refusal(413, `The request is too large: ${maxBytes} bytes are allowed.`);
}

/** What a client is told of an error that ended the reading of its request; undefined for one that should not be. */
function asRefusal(error: unknown): RequestFormatError | Refusal | undefined {
  if (error instanceof RequestFormatError || error instanceof Refusal) return error;
  const code = nativeCode(error) ?? (error as { code?: unknown } | null | undefined)?.code;
  if (code === "MEMORY_LOCK" || code === "OUT_OF_MEMORY") {
    return new Refusal(503, "The proxy has not enough lockable memory for this request at the moment.", {
      "retry-after": "1",
    });
  }
  return undefined;
}
