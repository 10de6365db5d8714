/**
 * A `Response` whose body lies in the pool until it is read, and is wiped then.
 *
 * Node's own would hold it in ordinary memory, and collect it there once more for `json()` and `text()`. So these
 * methods are ours: they take the bytes from the pool. What goes through `body` are pieces that belong to whoever reads
 * them, as with every `fetch`: a reader may keep them, so they are not wiped behind his back.
 */
import { SecureBuffer } from "../memory/secure-buffer.js";
import type { Locking } from "../native.js";

/** Bytes of a piece of `body`: what is in ordinary memory at a time, when the reader lets go of it. */
const PIECE_BYTES = 16 * 1024;

/** What a response is made of. */
export interface PooledParts {
  readonly headers: Headers;
  readonly url: string;
  readonly locking: Locking;
  /** The request's: its end is the end of the body, if that is not read by then. */
  readonly signal: AbortSignal | undefined;
}

/** The bodies that are still there, to be wiped when the client is closed. Collected ones leave by themselves. */
export class OpenBodies {
  readonly #bodies = new Set<WeakRef<Body>>();
  readonly #collected = new FinalizationRegistry<WeakRef<Body>>((reference) => this.#bodies.delete(reference));

  add(body: Body): void {
    const reference = new WeakRef(body);
    this.#bodies.add(reference);
    this.#collected.register(body, reference);
    body.onEnd(() => this.#bodies.delete(reference));
  }

  /** Wipes the bodies of which nothing was read; with `abort` also those that are being read. Reading them fails. */
  close(abort: boolean): void {
    for (const reference of this.#bodies) {
      const body = reference.deref();
      if (body !== undefined && (abort || !body.begun)) {
        body.fail(new TypeError("terminated", { cause: new Error("The client was closed before the body was read.") }));
      }
    }
  }
}

/** The bytes of one response: read once, piece by piece or as a whole, and wiped by that. */
class Body {
  readonly stream: ReadableStream<Uint8Array>;
  /** Gone when all of it was given out, which is before the end: that comes when a reader asks for more. */
  #bytes: SecureBuffer | undefined;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  #at = 0;
  #ended = false;
  #failure: { readonly reason: unknown } | undefined;
  readonly #whenEnded: (() => void)[] = [];

  /** Takes `bytes` over. */
  constructor(bytes: SecureBuffer, signal: AbortSignal | undefined) {
    this.#bytes = bytes;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#give(),
        cancel: () => this.#end(),
      },
      // Nothing is taken out of the pool before it is asked for.
      { highWaterMark: 0 },
    );
    if (signal === undefined) return;
    // A signal may live as long as the program, and must not keep the body.
    const weak = new WeakRef(this);
    const abort = (): void => weak.deref()?.fail(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    this.onEnd(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
  }

  get begun(): boolean {
    return this.#at > 0;
  }

  onEnd(listener: () => void): void {
    this.#whenEnded.push(listener);
  }

  fail(reason: unknown): void {
    if (this.#ended) return;
    this.#failure = { reason };
    this.#end();
    this.#controller.error(reason);
  }

  /** The whole of it, for a method that reads a body to its end. `undefined`: it was read before. */
  take(): SecureBuffer | undefined {
    if (this.#failure !== undefined) throw this.#failure.reason;
    if (this.begun || this.stream.locked) return undefined;
    const bytes = this.#bytes;
    this.#bytes = undefined;
    this.#end();
    // It counts as read from now on: `bodyUsed`.
    if (bytes !== undefined) void this.stream.cancel();
    return bytes;
  }

  /** Another body of the same bytes. `undefined`: it was read before. */
  copy(locking: Locking): SecureBuffer | undefined {
    if (this.begun || this.stream.locked) return undefined;
    return this.#bytes?.use((bytes) => SecureBuffer.from(bytes, locking));
  }

  /** The next piece, or the end. Not both at once: who aborts after the last piece is to be told so, not of an end. */
  #give(): void {
    const bytes = this.#bytes;
    if (bytes === undefined) {
      if (this.#ended) return;
      this.#controller.close();
      this.#end();
      return;
    }
    const piece = bytes.use((view) => {
      const part = view.subarray(this.#at, this.#at + PIECE_BYTES);
      // A buffer of its own, not of Node's pool of small ones, which others see.
      const copy = new Uint8Array(part);
      part.fill(0);
      return copy;
    });
    this.#at += piece.length;
    if (this.#at >= bytes.length) {
      bytes.dispose();
      this.#bytes = undefined;
    }
    this.#controller.enqueue(piece);
  }

  #end(): void {
    this.#ended = true;
    this.#bytes?.dispose();
    this.#bytes = undefined;
    for (const listener of this.#whenEnded.splice(0)) listener();
  }
}

/** A response with the status 200 over `bytes`, which it takes over. */
export function pooledResponse(bytes: SecureBuffer, parts: PooledParts, open: OpenBodies): Response {
  const body = new Body(bytes, parts.signal);
  open.add(body);
  const response = new Response(body.stream, { status: 200, headers: parts.headers });
  const used = (): TypeError => new TypeError("Body is unusable: Body has already been read");
  const reading =
    <T>(read: (bytes: SecureBuffer) => T) =>
    // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is a rejection, as with every fetch
    async (): Promise<T> => {
      using taken = body.take();
      if (taken === undefined) throw used();
      return read(taken);
    };
  const copied = (taken: SecureBuffer): Uint8Array<ArrayBuffer> => taken.use((view) => new Uint8Array(view));
  const own = {
    text: reading((taken) => taken.toString()),
    json: reading((taken) => JSON.parse(taken.toString()) as unknown),
    arrayBuffer: reading((taken) => copied(taken).buffer),
    bytes: reading(copied),
    blob: reading((taken) => {
      const copy = copied(taken);
      const blob = new Blob([copy], { type: parts.headers.get("content-type") ?? "" });
      copy.fill(0);
      return blob;
    }),
    clone: (): Response => {
      const copy = body.copy(parts.locking);
      if (copy === undefined) throw new TypeError("Response.clone: Body has already been consumed.");
      return pooledResponse(copy, parts, open);
    },
  };
  for (const [name, value] of Object.entries(own)) {
    // Node 20 has no `bytes`.
    if (name in response) Object.defineProperty(response, name, { value, writable: true, configurable: true });
  }
  return Object.defineProperty(response, "url", { value: parts.url, configurable: true });
}
