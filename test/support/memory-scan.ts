/** Searching another process's memory, or a core file, for known bytes: starts the scanner as a process of its own. */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";

/** What to search for: each name's pieces, in hex, of 16 bytes or more. */
export type Patterns = Readonly<Record<string, readonly string[]>>;

export interface Hit {
  readonly name: string;
  /** The mapping, or the part of the core file. */
  readonly place: string;
  /** In hex. */
  readonly address: string;
  readonly inPool: boolean;
}

export interface CoreScan {
  readonly bytesRead: number;
  /** Mappings read (count). */
  readonly mappings: number;
  readonly hits: readonly Hit[];
}

export interface ProcessScan extends CoreScan {
  /** Mappings that the kernel does not let even root read. */
  readonly unreadable: readonly { readonly place: string; readonly inPool: boolean; readonly code: string }[];
  readonly pool: readonly { readonly start: number; readonly end: number; readonly kind: "memfd_secret" | "mlock" }[];
}

const scanner = join(__dirname, "memory-scan-process.mjs");

/** Stops process `pid`, reads everything in it that can be read, and lets it go on. */
export const scanProcess = (pid: number, patterns: Patterns) => scan<ProcessScan>({ pid, patterns });
/** As {@link scanProcess}, for every fragment of 12 bytes of the files at `texts` (name to path); a hit is a whole run. */
export const scanForFragments = (pid: number, texts: Readonly<Record<string, string>>) =>
  scan<ProcessScan>({ pid, texts });
export const scanCore = (core: string, patterns: Patterns) => scan<CoreScan>({ core, patterns });

/** Why this account cannot read another process's memory here, or `undefined` if it can. */
export function whyNotReadable(): string | undefined {
  if (process.platform !== "linux") return "there is no /proc/PID/mem on this system";
  const other = spawnSync(
    process.execPath,
    [
      "-e",
      `const { spawn, spawnSync } = require("node:child_process");
       const target = spawn("sleep", ["60"]);
       const read = spawnSync("head", ["-c", "0", "/proc/" + target.pid + "/mem"], { encoding: "utf8" });
       target.kill();
       process.stdout.write(read.stderr);`,
    ],
    { encoding: "utf8" },
  );
  return other.stdout === ""
    ? undefined
    : `this account may not read another process's memory (${other.stdout.trim()})`;
}

async function scan<Report>(order: object): Promise<Report> {
  const child = spawn(process.execPath, [scanner], { stdio: ["pipe", "pipe", "pipe"] });
  const [output, errors] = [child.stdout, child.stderr].map(async (stream) => {
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    return Buffer.concat(parts).toString();
  }) as [Promise<string>, Promise<string>];
  child.stdin.end(JSON.stringify(order));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`the scanner failed: ${await errors}`);
  return JSON.parse(await output) as Report;
}
