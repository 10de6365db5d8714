/** The package as it is compiled, for tests that need a process of their own. */
import { execFile, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

export const root = join(__dirname, "..", "..");

/** When a file under `folder` was last changed, in milliseconds. */
const lastChange = (folder: string): number =>
  Math.max(...readdirSync(folder, { recursive: true }).map((name) => statSync(join(folder, String(name))).mtimeMs));

/** Compiles `lib` into `dist` unless that is newer; test files that run at the same time wait for each other. */
export function buildPackage(): void {
  const lock = join(root, "node_modules", ".dist-lock");
  for (let tries = 0; ; tries++) {
    try {
      mkdirSync(lock);
      break;
    } catch {
      // Left behind by a run that was killed.
      if (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > 120_000) rmSync(lock, { recursive: true });
      if (tries > 1200) throw new Error(`${lock} does not go away: remove it.`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
  try {
    const newest = join(root, "dist", "index.mjs");
    const build = join(root, "scripts", "build-ts.mjs");
    const changed = Math.max(lastChange(join(root, "lib")), statSync(build).mtimeMs);
    if (existsSync(newest) && statSync(newest).mtimeMs > changed) return;
    const built = spawnSync(process.execPath, [build], { encoding: "utf8" });
    if (built.status !== 0) throw new Error(`The package does not compile:\n${built.stdout}${built.stderr}`);
  } finally {
    rmSync(lock, { recursive: true });
  }
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly milliseconds: number;
}

/** Runs Node with these arguments in the package's folder, and waits for its end. */
export function runNode(args: readonly string[], env: NodeJS.ProcessEnv = {}, timeout = 240_000): Promise<Ended> {
  const started = performance.now();
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      args,
      { cwd: root, timeout, env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, stdout, stderr, milliseconds: performance.now() - started });
      },
    );
  });
}

/** Runs an ES module given as text; `nomyo-native` resolves to the compiled package. */
export const runModule = (source: string, env: NodeJS.ProcessEnv = {}): Promise<Ended> =>
  runNode(["--input-type=module", "--eval", source], env);
