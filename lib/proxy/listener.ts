/** Where the proxy listens: a TCP address or a Unix socket; its connections; and how it stops. */
import { chmodSync, lstatSync, mkdtempSync, renameSync, rmdirSync, statSync, unlinkSync } from "node:fs";
import net from "node:net";
import { dirname, join } from "node:path";
import tls from "node:tls";
import { ConfigurationError } from "../errors.js";
import { withoutBrackets } from "../printable.js";
import { HeldView } from "../memory/pool-bytes.js";
import { systemReason } from "../system-reason.js";
import { readingInto, readingTls } from "./accepted-socket.js";
import { Share, Turns } from "../http/turns.js";
import { Connection } from "./connection.js";
import type { ConnectionSettings, Idleness } from "./connection.js";
import { unixPathOf } from "./handed-socket.js";

/** Whether each connection has memory of its own to read into. */
const EACH_ITS_OWN = process.platform === "win32";
/** As much as Node reads at a time. */
const READ_BYTES = 64 * 1024;

/** Where others reach it. */
export type Bound = { readonly host: string; readonly port: number } | { readonly socketPath: string };
/** What is to be listened on. `fd`: a socket that listens already, made by whoever started this process. */
export type Place = Bound | { readonly fd: number };

export interface ListenerSettings {
  readonly place: Place;
  /** Throws where others can reach this address, and what that needs is not there. */
  readonly checkExposure: (host: string) => void;
  /** Throws where everyone on this machine may connect to this Unix socket, and nothing else keeps them out. */
  readonly checkOpenSocket: (path: string) => void;
  readonly tls: { readonly cert: string | Uint8Array; readonly key: string | Uint8Array } | undefined;
  readonly maxConnections: number;
  readonly stopTimeoutMs: number;
  readonly connection: ConnectionSettings;
}

export class Listener {
  readonly #settings: ListenerSettings;
  readonly #server = net.createServer({ pauseOnConnect: true });
  readonly #context: tls.SecureContext | undefined;
  readonly #connections = new Set<Connection>();
  readonly #turns = new Turns();
  /** Connections that wait for their first turn. */
  readonly #arriving = new Map<net.Socket, () => void>();
  /** Pool memory that the sockets read into; empty until the first connection. */
  readonly #memory: HeldView[] = [];

  constructor(settings: ListenerSettings) {
    this.#settings = settings;
    this.#context = settings.tls && contextOf(settings.tls);
    this.#server.on("connection", (accepted) => this.#arrived(accepted));
  }

  /** How many there are. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Resolves when it listens, to where; rejects with Node's error. */
  async listen(): Promise<Bound> {
    const { place } = this.#settings;
    if ("fd" in place) return await this.#listenOn(place.fd);
    if ("socketPath" in place) {
      await this.#listenAt(place.socketPath);
      return place;
    }
    await this.#listening({ host: withoutBrackets(place.host), port: place.port });
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the server has no TCP address");
    return { host: place.host, port: address.port };
  }

  /**
   * Takes no new connections; those with a request get to finish within `stopTimeoutMs`, then they are cut. Resolves
   * when all are closed.
   */
  async stop(): Promise<void> {
    const { place, stopTimeoutMs } = this.#settings;
    this.#server.close();
    if ("socketPath" in place) remove(place.socketPath);
    for (const connection of this.#connections) connection.stop();
    const cut = setTimeout(() => {
      for (const connection of this.#connections) connection.cut();
    }, stopTimeoutMs);
    while (this.#connections.size > 0) await Promise.all([...this.#connections].map(({ closed }) => closed));
    clearTimeout(cut);
    for (const memory of this.#memory) memory.release();
  }

  #listening(how: net.ListenOptions | { readonly fd: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(how, () => {
        this.#server.off("error", reject);
        resolve();
      });
    });
  }

  /** Whose socket it is, and whom its file's mode lets in, is up to whoever made it. */
  async #listenOn(fd: number): Promise<Bound> {
    try {
      await this.#listening({ fd });
    } catch (error) {
      throw new ConfigurationError("listenFd", `Descriptor ${fd} is no socket to listen on (${systemReason(error)}).`);
    }
    const address = this.#server.address();
    try {
      if (address === null || typeof address === "string") {
        const socketPath = unixPathOf(fd);
        if (socketPath === undefined) {
          throw new ConfigurationError("listenFd", "The socket to listen on has neither a TCP address nor a file.");
        }
        if (this.#context !== undefined) {
          throw new ConfigurationError("tls", "A Unix socket is not spoken to over TLS: leave `tls` out.");
        }
        if ((modeOf(socketPath) & 0o002) !== 0) this.#settings.checkOpenSocket(socketPath);
        return { socketPath };
      }
      this.#settings.checkExposure(address.address);
      return { host: address.address, port: address.port };
    } catch (error) {
      this.#server.close();
      throw error;
    }
  }

  /**
   * The socket's file gets its mode where nobody else can reach it, and then its name: between a bind and a chmod
   * anybody could connect, and the process's umask is other code's too.
   */
  async #listenAt(path: string): Promise<void> {
    await refuseInUse(path);
    let folder: string;
    try {
      folder = mkdtempSync(join(dirname(path), ".p"));
    } catch (error) {
      throw new ConfigurationError("socketPath", `No socket can be made in ${dirname(path)} (${systemReason(error)}).`);
    }
    const made = join(folder, "s");
    try {
      await this.#listening({ path: made });
      chmodSync(made, 0o600);
      renameSync(made, path);
    } finally {
      remove(made);
      rmdirSync(folder);
    }
  }

  #arrived(accepted: net.Socket): void {
    if (this.#connections.size + this.#arriving.size >= this.#settings.maxConnections && !this.#makeRoom()) {
      accepted.destroy();
      return;
    }
    const listen = (): void => {
      this.#arriving.delete(accepted);
      if (this.#server.listening) this.#accept(accepted);
      else accepted.destroy();
    };
    this.#arriving.set(accepted, listen);
    this.#turns.wait(listen);
  }

  #accept(accepted: net.Socket): void {
    const connection = new Connection(this.#settings.connection);
    const memory = this.#readMemory();
    if (memory === undefined) {
      accepted.destroy();
      return;
    }
    const share = new Share(this.#turns);
    const goOn = (): void => void socket?.resume();
    const into = {
      buffer: memory.bytes,
      callback: (count: number, buffer: Uint8Array): boolean => {
        const read = buffer.subarray(0, count);
        const more = connection.take(read);
        read.fill(0);
        return more && !share.isUsedUp(count, goOn);
      },
    };
    const socket =
      this.#context === undefined ? readingInto(accepted, into) : readingTls(accepted, this.#context, into.callback);
    if (socket === undefined) return;
    this.#connections.add(connection);
    connection.start(socket);
    void connection.closed.then(() => {
      this.#turns.cancel(goOn);
      this.#connections.delete(connection);
      if (EACH_ITS_OWN) this.#giveBack(memory);
    });
  }

  /**
   * One memory serves all connections: reading, and looking at what was read, is one step of the event loop. On Windows
   * the kernel is given the memory before there is something to read, so there each connection has its own.
   */
  #readMemory(): HeldView | undefined {
    const [shared] = this.#memory;
    if (!EACH_ITS_OWN && shared !== undefined) return shared;
    try {
      const memory = new HeldView(READ_BYTES, this.#settings.connection.locking);
      this.#memory.push(memory);
      return memory;
    } catch (error) {
      this.#settings.connection.failed(error);
      return undefined;
    }
  }

  #giveBack(memory: HeldView): void {
    this.#memory.splice(this.#memory.indexOf(memory), 1);
    memory.release();
  }

  /**
   * Connections that have not said a thing go first, also those that nobody has listened to yet; then those whose
   * headers are still coming, those that end, and last those that were served and wait for more; of each the oldest.
   */
  #makeRoom(): boolean {
    const connections = [...this.#connections];
    const of = (state: Idleness): Connection | undefined => connections.find(({ idleness }) => idleness === state);
    const silent = of("silent");
    if (silent === undefined) {
      for (const [arrived, listen] of this.#arriving) {
        this.#arriving.delete(arrived);
        this.#turns.cancel(listen);
        arrived.destroy();
        return true;
      }
    }
    const first = silent ?? of("dripping") ?? of("leaving") ?? of("kept");
    if (first === undefined) return false;
    first.cut();
    this.#connections.delete(first);
    return true;
  }
}

/** The mode of a socket that was handed down. The file may be gone: then nobody can connect, nor be kept out. */
function modeOf(socketPath: string): number {
  try {
    return statSync(socketPath).mode;
  } catch (error) {
    throw new ConfigurationError(
      "listenFd",
      `The socket to listen on was made at ${socketPath}, which cannot be looked at (${systemReason(error)}): ` +
        "nobody could connect. " +
        "Whoever hands it down must make it again, and leave its file there.",
    );
  }
}

function contextOf({ cert, key }: NonNullable<ListenerSettings["tls"]>): tls.SecureContext {
  try {
    return tls.createSecureContext({
      cert: cert as string | Buffer,
      key: key as string | Buffer,
      minVersion: "TLSv1.2",
    });
  } catch (error) {
    throw new ConfigurationError("tls", `The TLS certificate and key cannot be used (${systemReason(error)}).`);
  }
}

function remove(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** A socket that nobody listens on is left over, and is replaced; anything else with that name is not ours to take. */
async function refuseInUse(path: string): Promise<void> {
  try {
    if (!lstatSync(path).isSocket()) {
      throw new ConfigurationError("socketPath", `${path} is there already, and is no socket.`);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const listens = await new Promise<boolean>((resolve) => {
    const probe = net.connect(path);
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
  if (listens) throw new ConfigurationError("socketPath", `Another process listens on ${path} already.`);
}
