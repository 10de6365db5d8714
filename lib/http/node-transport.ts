/** HTTP by connections of this package's own. */
import type { Agent } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

import { nodeHttp, nodeHttps } from "../builtins.js";
import { DeadOnReuse, exchange } from "./node-exchange.js";
import type { Transport, TransportRequest, TransportResponse } from "./transport.js";

/**
 * How long a connection is kept without a request, in milliseconds: less than the 5 s after which many servers close
 * theirs.
 */
const LONGEST_IDLE_MS = 4_000;
/** A connection this near to its end is not used again: the server's clock started earlier than ours. */
const IDLE_MARGIN_MS = 500;

/**
 * The default transport: `node:https` with connections of its own, kept alive.
 *
 * Why not the global `fetch`: it gives up after 300 s without headers, while answers, which do not stream, may take
 * longer; `NODE_TLS_REJECT_UNAUTHORIZED=0`, `NODE_USE_ENV_PROXY` and `setGlobalDispatcher` change it from outside;
 * frameworks replace it with one that caches; it needs WebAssembly; and it cannot tell whether a request had left when
 * the connection broke, which `sent` has to say.
 *
 * A connection that the server has closed meanwhile must not cost a request, for then nobody could say whether that was
 * processed. So before one is used again, what the system knows of it is asked for; see {@link NodeTransport.send}.
 */
export class NodeTransport implements Transport {
  /** When a connection was last put aside, on the monotonic clock. */
  readonly #idleSince = new WeakMap<Duplex, number>();
  /** Connections on which an answer came that was none to its request. Who is waiting on one waits on; then it ends. */
  readonly #distrusted = new WeakSet<Duplex>();
  // Made for the first request of their kind: loading TLS takes half of the time that a client is made in.
  #http: Agent | undefined;
  #https: Agent | undefined;

  /**
   * Sends a request, on a kept connection where there is a sound one.
   *
   * One that has been idle too long is closed first; then the event loop turns twice, so that a close which has arrived
   * while the process was busy is seen; then those that have ended are closed too. If the chosen one turns out to be
   * dead before a byte was written to it, nothing can have arrived, and the request is sent on a fresh one. A reset
   * *after* that proves nothing: the server may have read the request, so it is reported (`sent: "maybe"`) and not
   * repeated here.
   */
  async send(request: TransportRequest): Promise<TransportResponse> {
    if (this.#closeStale() > 0) {
      await twoTurns();
      this.#closeStale();
    }
    try {
      return await this.#exchange(request);
    } catch (error) {
      if (!(error instanceof DeadOnReuse)) throw error;
      for (const { socket } of this.#idle()) socket.destroy();
      return await this.#exchange(request);
    }
  }

  #exchange(request: TransportRequest): Promise<TransportResponse> {
    const agent = request.url.protocol === "https:" ? this.#secureAgent() : this.#plainAgent();
    return exchange(request, agent, this.#distrust);
  }

  readonly #distrust = (socket: Socket): void => {
    this.#distrusted.add(socket);
    for (const idle of this.#idle()) if (idle.socket === socket) socket.destroy();
  };

  close(): void {
    this.#http?.destroy();
    this.#https?.destroy();
  }

  // Own agents: the global ones follow proxy variables where Node was told to, and are anybody's to change.
  // Node shortens `timeout` to what the server's own `Keep-Alive: timeout=` says.
  #plainAgent(): Agent {
    return (this.#http ??= this.#noting(
      new (nodeHttp().Agent)({ keepAlive: true, scheduling: "lifo", timeout: LONGEST_IDLE_MS }),
    ));
  }

  #secureAgent(): Agent {
    return (this.#https ??= this.#noting(
      new (nodeHttps().Agent)({
        keepAlive: true,
        scheduling: "lifo",
        timeout: LONGEST_IDLE_MS,
        // Stated, because the environment variable NODE_TLS_REJECT_UNAUTHORIZED only changes the default.
        rejectUnauthorized: true,
        minVersion: "TLSv1.2",
      }),
    ));
  }

  #noting(agent: Agent): Agent {
    // Public since Node 8.1, and not in the types.
    const keeper = agent as unknown as { keepSocketAlive(socket: Duplex): boolean };
    const keep = keeper.keepSocketAlive.bind(agent);
    keeper.keepSocketAlive = (socket) => {
      if (this.#distrusted.has(socket)) return false;
      this.#idleSince.set(socket, performance.now());
      return keep(socket);
    };
    return agent;
  }

  *#idle(): Generator<{ readonly socket: Socket; readonly since: number }> {
    for (const agent of [this.#http, this.#https]) {
      for (const sockets of Object.values(agent?.freeSockets ?? {})) {
        for (const socket of sockets ?? []) yield { socket, since: this.#idleSince.get(socket) ?? -Infinity };
      }
    }
  }

  /**
   * Closes the idle connections that have ended, or soon will, and returns how many are left. The agents take no closed
   * one.
   */
  #closeStale(): number {
    const now = performance.now();
    let left = 0;
    for (const { socket, since } of this.#idle()) {
      if (socket.destroyed) continue;
      const limit = (socket.timeout ?? LONGEST_IDLE_MS) - IDLE_MARGIN_MS;
      if (!socket.readable || !socket.writable || socket.readableLength > 0 || now - since >= limit) socket.destroy();
      else left++;
    }
    return left;
  }
}

/**
 * Two turns of the event loop. A callback may be running whose own turn has asked the system long ago; the second
 * turn's poll comes after now in any case.
 */
async function twoTurns(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
}
