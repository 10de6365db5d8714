/** A core dump of a process: by the kernel, which ends the process, or by gdb. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Circumstances, Exit } from "./subject.js";

/** What is needed of a process to dump it: a `Subject`, or a `WatchedProcess`. */
export interface Dumpable {
  readonly pid: number;
  kill(signal?: NodeJS.Signals): Promise<Exit>;
}

/**
 * What the subject must be started with, in a working directory of its own, so that the kernel writes its core there.
 */
export const dumpsCore: Circumstances = ["prlimit", "--core=unlimited:unlimited", "--"];

/** Whether the kernel writes cores into the working directory; otherwise a program of the system's takes them. */
const kernelWrites = () => !/[|/]/.test(readFileSync("/proc/sys/kernel/core_pattern", "utf8"));

/**
 * Ends the subject with a core dump in `folder`, its empty working directory, and returns the file. Where the system
 * pipes cores to a program of its own, gdb's gcore makes it: slow, since it writes reserved address space too.
 */
export async function dumpCore(subject: Dumpable, folder: string): Promise<string> {
  if (!kernelWrites()) {
    execFileSync("gcore", ["-o", join(folder, "core"), String(subject.pid)], { stdio: "pipe" });
    await subject.kill();
  } else {
    const { signal } = await subject.kill("SIGABRT");
    if (signal !== "SIGABRT") throw new Error(`the subject ended with ${signal} instead of a core dump`);
  }
  const [core, ...others] = readdirSync(folder);
  if (core === undefined || others.length > 0)
    throw new Error(`expected one core dump, found: ${[core, ...others].join()}`);
  return join(folder, core);
}
