/** A software TPM (swtpm) for `demo`: a process of its own, in a temporary folder, both gone afterwards. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface SoftwareTpm {
  /** Where it is, for tpm2-tss. */
  readonly tcti: string;
  close(): Promise<void>;
}

const POLL_MS = 10;

/** Starts one; `undefined` where swtpm is not installed, or ends before it is ready. */
export async function startSoftwareTpm(
  env: Readonly<Record<string, string | undefined>>,
): Promise<SoftwareTpm | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-demo-"));
  const socket = join(folder, "sock");
  const control = `${socket}.ctrl`;
  const child = spawn(
    "swtpm",
    [
      ...["socket", "--tpm2", "--tpmstate", `dir=${folder}`, "--flags", "not-need-init,startup-clear"],
      ...["--server", `type=unixio,path=${socket}`, "--ctrl", `type=unixio,path=${control}`],
    ],
    // As a group of its own, Ctrl-C does not reach it before the router has let go of it.
    { stdio: "ignore", env, detached: true },
  );
  // Also where nobody gets to close it.
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      hasEnded = true;
      resolve();
    };
    child.once("error", end);
    child.once("exit", end);
  });
  const close = async (): Promise<void> => {
    process.off("exit", kill);
    if (!hasEnded) child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  while (!hasEnded && !(existsSync(socket) && existsSync(control))) await sleep(POLL_MS);
  // It may change meanwhile, which the compiler cannot see.
  if (hasEnded as boolean) {
    await close();
    return undefined;
  }
  return { tcti: `swtpm:path=${socket}`, close };
}
