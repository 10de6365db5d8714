/**
 * A software TPM (swtpm) of the test's own: in a temporary folder, on a unix socket there or on a free loopback port.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Two neighbouring free ports: tcti-swtpm expects the control channel on the port after the server's. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = createServer().listen(0, "127.0.0.1");
    await once(first, "listening");
    const { port } = first.address() as { port: number };
    const second = createServer();
    const free = await new Promise<boolean>((resolve) => {
      second.once("error", () => resolve(false));
      second.listen(port + 1, "127.0.0.1", () => resolve(true));
    });
    first.close();
    if (free) second.close();
    if (free && port < 65_535) return port;
  }
}

export class SoftwareTpm {
  /** Where to reach it, for tpm2-tss and tpm2-tools. */
  readonly tcti: string;
  /** Its folder, removed by {@link close}; a test may put files there. */
  readonly folder: string;
  readonly #arguments: readonly string[];
  readonly #sockets: readonly string[];
  #process: ChildProcess | undefined;

  private constructor(folder: string, port: number | undefined) {
    this.folder = folder;
    const socket = join(folder, "sock");
    // The control socket is made after the server's.
    this.#sockets = port === undefined ? [`${socket}.ctrl`, socket] : [];
    this.tcti = port === undefined ? `swtpm:path=${socket}` : `swtpm:host=127.0.0.1,port=${port}`;
    const channel = (name: string, number: number): string =>
      port === undefined ? `type=unixio,path=${name}` : `type=tcp,port=${number},bindaddr=127.0.0.1`;
    this.#arguments = [
      ...["socket", "--tpm2", "--tpmstate", `dir=${folder}`, "--flags", "not-need-init,startup-clear"],
      ...["--server", channel(socket, port ?? 0), "--ctrl", channel(`${socket}.ctrl`, (port ?? 0) + 1)],
      ...["--log", `file=${join(folder, "log")}`, "--pid", `file=${join(folder, "pid")}`],
    ];
  }

  /** Starts one; `transport: "tcp"` takes a loopback port instead of a unix socket. */
  static async start(options: { readonly transport?: "unix" | "tcp" } = {}): Promise<SoftwareTpm> {
    const folder = mkdtempSync(join(tmpdir(), "nomyo-tpm-"));
    const tpm = new SoftwareTpm(folder, options.transport === "tcp" ? await freePorts() : undefined);
    try {
      await tpm.appear();
    } catch (error) {
      await tpm.close();
      throw error;
    }
    return tpm;
  }

  /** Ends the process, as when a TPM vanishes. */
  async vanish(): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    process.kill("SIGCONT");
    if (process.exitCode === null && process.signalCode === null) {
      const exit = once(process, "exit");
      process.kill("SIGTERM");
      await exit;
    }
    for (const socket of this.#sockets) rmSync(socket, { force: true });
    rmSync(join(this.folder, "pid"), { force: true });
  }

  /** Starts the process (again), with the state that it had. */
  async appear(): Promise<void> {
    const child = spawn("swtpm", this.#arguments, { stdio: "ignore" });
    const failed = new Promise<never>((_, reject) => {
      child.once("error", (error) => reject(new Error(`swtpm cannot be started: ${error.message}`)));
      child.once("exit", (code) => reject(new Error(`swtpm ended with ${String(code)} before it was ready`)));
    });
    failed.catch(() => undefined);
    this.#process = child;
    await Promise.race([failed, this.#ready()]);
  }

  async #ready(): Promise<void> {
    // Written when the channels are open.
    while (![...this.#sockets, join(this.folder, "pid")].every((file) => existsSync(file))) await sleep(5);
  }

  /** Stops answering, without closing anything; {@link vanish} and {@link close} still work. */
  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Ends the process and removes the folder. */
  async close(): Promise<void> {
    await this.vanish();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
