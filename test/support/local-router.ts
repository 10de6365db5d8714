/** The local router as the process that users start: `nomyo-native router`. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { routerKeyFile } from "./router-key.js";

const command = join(__dirname, "../../dist/cli/main.js");

export interface LocalRouter {
  readonly url: string;
  readonly pid: number;
  readonly keySha256: string;
  stop(): Promise<void>;
}

export async function startLocalRouter(
  options: {
    readonly upstream?: string;
    readonly args?: readonly string[];
    /** What is put before `node` on the command line. */
    readonly circumstances?: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<LocalRouter> {
  const upstream = options.upstream === undefined ? [] : ["--upstream", options.upstream];
  const key = routerKeyFile();
  const [program, ...args] = [...(options.circumstances ?? []), process.execPath, command, "router", "--json"];
  if (!options.args?.includes("--key-file")) args.push("--key-file", key.path);
  const child = spawn(program, [...args, ...upstream, ...(options.args ?? [])], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env["PATH"], ...options.env },
  });
  const events: Record<string, unknown>[] = [];
  const watchers = new Set<() => void>();
  let pending = "";
  let errors = "";
  let ended = false;
  const wake = () => watchers.forEach((watcher) => watcher());
  child.stdout.on("data", (part: Buffer) => {
    const lines = (pending + part.toString()).split("\n");
    pending = lines.pop()!;
    events.push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
    wake();
  });
  child.stderr.on("data", (part: Buffer) => (errors += part.toString()));
  const exit = new Promise<void>((resolve) =>
    child.once("close", () => {
      ended = true;
      key.remove();
      wake();
      resolve();
    }),
  );
  const event = (matches: (event: Record<string, unknown>) => boolean) =>
    new Promise<Record<string, unknown>>((resolve, reject) => {
      const look = () => {
        const found = events.find(matches);
        if (found === undefined && !ended) return;
        watchers.delete(look);
        if (found === undefined) reject(new Error(`the router ended: ${errors}`));
        else resolve(found);
      };
      watchers.add(look);
      look();
    });
  const listening = await event(({ event: name }) => name === "listening");
  return {
    url: listening["url"] as string,
    pid: listening["pid"] as number,
    keySha256: listening["key_sha256"] as string,
    async stop() {
      child.kill();
      await exit;
    },
  };
}
