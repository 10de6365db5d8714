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
  // Written when both channels are open: a socket's file is there before it listens.
  const ready = join(folder, "pid");
  const child = spawn(
    "swtpm",
    [
      ...["socket", "--tpm2", "--tpmstate", `dir=${folder}`, "--flags", "not-need-init,startup-clear"],
      ...["--server", `type=unixio,path=${socket}`, "--ctrl", `type=unixio,path=${socket}.ctrl`],
      ...["--pid", `file=${ready}`],
    ],
    // As a group of its own, Ctrl-C does not reach it before the router has let go of it.
    { stdio: "ignore", env, detached: true },
  );
  // Also where nobody gets to close it.
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  const state = { hasEnded: false };
  const ended = new Promise<void>((resolve) => {
    const end = (): void => {
      state.hasEnded = true;
      resolve();
    };
    child.once("error", end);
    child.once("exit", end);
  });
  const close = async (): Promise<void> => {
    process.off("exit", kill);
    if (!state.hasEnded) child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  while (!state.hasEnded && !existsSync(ready)) await sleep(POLL_MS);
  if (state.hasEnded) {
    await close();
    return undefined;
  }
  return { tcti: `swtpm:path=${socket}`, close };
}
