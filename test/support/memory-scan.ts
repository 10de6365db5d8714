/**
 * Searching for secrets where they must not be: in the memory of a running process, in its core dump with the registers
 * of all threads, in the reports that it writes. The scanner is a program of its own, in C++ (memory-scan.cc), which is
 * compiled when it is first needed.
 *
 * For a test of a program (watched-process.ts starts it so that all of this can be had of it):
 *
 * ```ts
 * const watched = await WatchedProcess.start([script, "--flag"]);          // any Node program; or on a running one:
 * scanProcess(pid, …) … bring it to the moment to look at … const secrets = { ...textPatterns("prompt", prompt),
 * ...rsaKeyPatterns("key", key) };   // secret-patterns.ts expect(outsidePool(await
 * watched.scan(secrets))).toEqual([]);            // memory, diagnostic report, heap snapshot expect(outsidePool(await
 * watched.dump(secrets))).toEqual([]);            // ends it: core dump, registers of all threads
 * ```
 *
 * A hit is any fragment of 12 bytes or more of a pattern (24 of UTF-16; 8 and 16 in a register), so secrets should be
 * random throughout: `secretText(bytes)` of secret-patterns.ts makes such texts. What is the pool, the kernel says and
 * not the package: /secretmem, or locked and left out of dumps. A test that expects no hits must also show that its
 * search finds the like where it is: leave a beacon (forensic/memory.test.ts), or search a program that uses Node's own
 * crypto.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";

/** Bytes to search for; a hit is any `fragment` of them that are together. */
export interface Pattern {
  readonly bytes: Uint8Array;
  /** 12 or more. */
  readonly fragment: number;
}

/** What to search for: each name's forms. */
export type Patterns = Readonly<Record<string, readonly Pattern[]>>;

export interface Hit {
  readonly name: string;
  /** Bytes of the secret that stand there together. */
  readonly bytes: number;
  /** The mapping, the file, or the part of the core file. */
  readonly place: string;
  /** In hex. */
  readonly address: string;
  readonly inPool: boolean;
}

export interface Scan {
  readonly bytesRead: number;
  /** Mappings or files read (count). */
  readonly mappings: number;
  readonly hits: readonly Hit[];
}

export interface CoreScan extends Scan {
  /** Register sets looked at: one general set for each thread, and one or two with its vector registers. */
  readonly registers: { readonly general: number; readonly vector: number };
}

export interface ProcessScan extends Scan {
  /** Mappings that the kernel does not let even root read. */
  readonly unreadable: readonly { readonly place: string; readonly inPool: boolean; readonly code: string }[];
  readonly pool: readonly { readonly start: number; readonly end: number; readonly kind: "memfd_secret" | "mlock" }[];
}

const source = join(__dirname, "memory-scan.cc");
const builds = join(__dirname, "../../build");
let scanner: string | undefined;

/**
 * The scanner's path; compiles it when it is first needed, which may take a minute on a busy machine: not while a
 * program waits. It is named by its source, so that no old one is taken for it; two test files may compile it at one
 * time. */
export function compiledScanner(): string {
  if (scanner !== undefined) return scanner;
  const name = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const path = join(builds, `memory-scan-${name}`);
  if (!existsSync(path)) {
    mkdirSync(builds, { recursive: true });
    const compiled = `${path}.${process.pid}`;
    execFileSync("c++", ["-std=c++20", "-O2", "-o", compiled, source], { stdio: ["ignore", "pipe", "pipe"] });
    renameSync(compiled, path);
  }
  return (scanner = path);
}

/** Stops process `pid`, reads everything in it that can be read, and lets it go on. */
export const scanProcess = (pid: number, patterns: Patterns) => scan<ProcessScan>({ pid, patterns });
/** A core file: memory, and the registers of all threads. */
export const scanCore = (core: string, patterns: Patterns) => scan<CoreScan>({ core, patterns });
/** Files of any kind, byte by byte. */
export const scanFiles = (files: readonly string[], patterns: Patterns) => scan<Scan>({ files, patterns });

/** The hits that must not be. */
export const outsidePool = ({ hits }: Pick<Scan, "hits">) => hits.filter(({ inPool }) => !inPool);

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

async function scan<Report>({
  patterns,
  ...order
}: {
  readonly patterns: Patterns;
  readonly [what: string]: unknown;
}): Promise<Report> {
  const child = spawn(compiledScanner(), [], { stdio: ["pipe", "pipe", "pipe"] });
  const [output, errors] = [child.stdout, child.stderr].map(async (stream) => {
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    return Buffer.concat(parts).toString();
  }) as [Promise<string>, Promise<string>];
  const sent = Object.entries(patterns).flatMap(([name, list]) => list.map((pattern) => ({ name, ...pattern })));
  const named = sent.map(({ name, fragment, bytes }) => ({ name, fragment, bytes: bytes.length }));
  // A scanner that refuses its order says why and ends; then nobody reads the rest.
  child.stdin.on("error", () => undefined);
  child.stdin.write(`${JSON.stringify({ ...order, patterns: named })}\n`);
  child.stdin.end(Buffer.concat(sent.map(({ bytes }) => bytes)));
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`the scanner failed: ${await errors}`);
  return JSON.parse(await output) as Report;
}
