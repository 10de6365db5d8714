// The package's command as a process of its own, for campaigns.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));

/** Starts `nomyo-native ARGS --json` with `env` and PATH alone; gives the process, and the first event it tells. */
export async function toldCommand(env, ...args) {
  const child = spawn(process.execPath, [command, ...args, "--json"], {
    ...{ env: { PATH: process.env["PATH"], ...env }, stdio: ["ignore", "pipe", "inherit"] },
  });
  let text = "";
  for await (const part of child.stdout) {
    text += part;
    if (text.includes("\n")) break;
  }
  return { child, told: JSON.parse(text.split("\n", 1)[0]) };
}
