#!/usr/bin/env node
/** The `nomyo-native` command: finds the subcommand, and turns its outcome into an exit code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isatty } from "node:tty";
import type { AddonNotLoadedError } from "../native-loader.js";
import { didYouMean } from "../nearest.js";
import { meantOption, shownOption } from "./arguments.js";
import { errorText } from "./error-text.js";
import { exitCode, exitCodeOf, UsageError } from "./exit-code.js";
import { Output, OutputError } from "./output.js";
import type { SecretInput } from "./secret-input.js";
import type { Streams } from "./streams.js";

type Command = (args: readonly string[], streams: Streams) => Promise<number>;

/** Commands load when they are used: `--help` needs no native addon. */
export const commands: Readonly<Record<string, () => Promise<Command>>> = {
  demo: async () => (await import("./demo.js")).runDemo,
  chat: async () => (await import("./chat.js")).runChat,
  keys: async () => (await import("./keys.js")).runKeys,
  router: async () => (await import("./router.js")).runRouter,
  proxy: async () => (await import("./proxy.js")).runProxy,
  doctor: async () => (await import("./doctor.js")).runDoctor,
  attest: async () => (await import("./attest.js")).runAttest,
  receipt: async () => (await import("./receipt.js")).runReceipt,
  bench: async () => (await import("./bench.js")).runBench,
};

const HELP = `Usage: nomyo-native COMMAND [options]

End-to-end encrypted, OpenAI-compatible chat completions, with keys and plaintext in locked memory and the server's TPM
quote verified.

  demo      see it work, without an account: a router, three requests and two refusals in one process
  chat      send a prompt and print the answer
  keys      make, look at and check RSA keys: keys generate, keys show, keys check
  router    run the server's side on this machine, before Ollama, vLLM, llama.cpp or with an echo model
  proxy     an OpenAI-compatible server on this machine that seals every request to NOMYO
  doctor    say what of this package works on this machine, and what to do about the rest
  attest    look at, verify and compare TPM quotes; make baselines
  receipt   verify and show the receipts of answers, long after
  bench     measure sealing, opening and keys on this machine

First steps, without an account: nomyo-native demo. Or, in two terminals:
  nomyo-native router --port 8080
  nomyo-native chat --base-url http://127.0.0.1:8080 --allow-http "Hello"

nomyo-native COMMAND --help tells each command's options. Secrets come from files, the environment or a prompt, never
from arguments, which every account of the machine can read.

  NOMYO_MEMORY_MECHANISM    for all commands: memfd_secret demands it; mlock forgoes it, and never calls it; else the
                            best that there is (docs/memory.md)

  NOMYO_THREADS             for all commands: the most threads that the package has of its own, 1 to 64; else as many
                            as there are cores, or fewer under a low lock limit (docs/memory.md)

  --help, --version

Exit codes
  0 done                                  4 the server refused or failed
  1 failed                                5 no connection, or time ran out
  2 wrong arguments or settings           10, 20, 30 attest, receipt: refused, unsupported, malformed
  3 refused for security                  130 interrupted, 141 the output's reader went away
`;

/** Runs one command line; never throws. Output that was lost is a failure. */
export async function main(args: readonly string[], streams: Streams): Promise<number> {
  const code = await run(args, streams);
  try {
    await streams.stderr.flush();
    await streams.stdout.flush();
    return code;
  } catch (error) {
    if (code !== exitCode.ok) return code;
    if (!(error instanceof OutputError) || error.code !== "EPIPE")
      streams.stderr.write(`nomyo-native: ${String(error)}\n`);
    await streams.stderr.flush().catch(() => undefined);
    return exitCodeOf(error);
  }
}

async function run(args: readonly string[], streams: Streams): Promise<number> {
  // `help chat` is what others' tools have.
  const [name, ...rest] = args[0] === "help" && args[1] !== undefined ? [args[1], "--help"] : args;
  const known = name !== undefined && Object.hasOwn(commands, name) ? name : undefined;
  try {
    if (name === undefined) throw new UsageError("A command is needed.");
    if (name === "--help" || name === "-h" || name === "help") {
      streams.stdout.write(HELP);
      return exitCode.ok;
    }
    if (name === "--version") {
      streams.stdout.write(`${packageVersion()}\n`);
      return exitCode.ok;
    }
    const load = known === undefined ? undefined : commands[known];
    if (load === undefined) {
      throw noCommand(name);
    }
    // Help needs neither. (As the first argument alone: elsewhere it may be the text of an option.)
    const help = rest[0] === "--help" || rest[0] === "-h";
    const mechanism = help ? undefined : streams.env["NOMYO_MEMORY_MECHANISM"];
    if (mechanism !== undefined && mechanism !== "") {
      // Before a command uses any memory.
      const { applyMechanismVariable } = await import("../memory/secure-memory.js");
      applyMechanismVariable(mechanism);
    }
    const threads = help ? undefined : streams.env["NOMYO_THREADS"];
    if (threads !== undefined && threads !== "") {
      const { applyThreadsVariable } = await import("../memory/thread-limit.js");
      applyThreadsVariable(threads);
    }
    const command = await load();
    return await command(rest, streams);
  } catch (error) {
    // What keeps the addon from loading is a finding like any other.
    if (known === "doctor" && isAddonNotLoaded(error)) {
      const { runWithoutAddon } = await import("./doctor-without-addon.js");
      return runWithoutAddon(error, rest, streams, packageVersion());
    }
    // Said once, by whoever finds that output is lost.
    if (error instanceof OutputError) return exitCode.ok;
    const hint =
      error instanceof UsageError ? `\nRun: nomyo-native ${known === undefined ? "" : `${known} `}--help` : "";
    streams.stderr.write(`nomyo-native: ${errorText(error, known)}${hint}\n`);
    return exitCodeOf(error);
  }
}

/** What comes before a command is one of two options. */
function noCommand(name: string): UsageError {
  const known = Object.keys(commands);
  const all = `The commands are: ${known.join(", ")}.`;
  if (!name.startsWith("-")) {
    const meant = didYouMean(name, known) || didYouMean(name, ["--version", "--help"], "");
    return new UsageError(`There is no command ${JSON.stringify(name.slice(0, 40))}.${meant} ${all}`);
  }
  const meant = meantOption(name, ["version", "help"]);
  return new UsageError(
    `There is no option${shownOption(name)} before the command.${meant} The command comes first. ${all}`,
  );
}

/** By its code: its class is in the library's file, which the command line loads when a command needs it. */
function isAddonNotLoaded(error: unknown): error is AddonNotLoadedError {
  return (error as { code?: unknown } | null)?.code === "ERR_NATIVE_ADDON_NOT_LOADED";
}

/** Not the addon's word: `--version` is asked for where nothing else works. A test compares the two. */
function packageVersion(): string {
  const manifest = readFileSync(join(__dirname, "..", "..", "package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

/** Needs the addon when something is read, and not before. */
const standardInput: SecretInput = {
  isTTY: isatty(0),
  all: async (...how) => (await descriptorInput()).all(...how),
  line: async (...how) => (await descriptorInput()).line(...how),
};

async function descriptorInput(): Promise<SecretInput> {
  const { DescriptorInput } = await import("./secret-input.js");
  return new DescriptorInput(0);
}

if (require.main === module) {
  void main(process.argv.slice(2), {
    input: standardInput,
    stdout: new Output(process.stdout),
    stderr: new Output(process.stderr),
    env: process.env,
  }).then((code) => {
    // A second signal, or a command that left a connection open, must still end the process; output is flushed by then.
    process.exit(code);
  });
}
