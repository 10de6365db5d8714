import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errorText } from "../../../lib/cli/error-text.js";
import { exitCodeOf } from "../../../lib/cli/exit-code.js";
import { commands } from "../../../lib/cli/main.js";
import { APIUserAbortError } from "../../../lib/errors.js";
import { runCommand } from "../../support/command-line.js";

const read = (path: string): string => readFileSync(join(__dirname, "../../..", path), "utf8");
const { version } = JSON.parse(read("package.json")) as { version: string };
const names = Object.keys(commands);

test("--help teaches the commands, the first steps and the exit codes", async () => {
  for (const args of [["--help"], ["-h"], ["help"]]) {
    const { code, stdout, stderr } = await runCommand(args);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    for (const word of ["Exit codes", "--allow-http"]) expect(stdout).toContain(word);
    const listed = [...stdout.matchAll(/^ {2}([a-z]+) {2,}[a-z]/gm)].map(([, name]) => name);
    expect(listed).toEqual(names);
  }
});

test("docs/cli.md has a row for each command, in the help's order", () => {
  const table = read("docs/cli.md")
    .split("\n\n")
    .find((block) => block.startsWith("| command "));
  expect([...table!.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name)).toEqual(names);
});

test.each(names)("%s --help shows its usage", async (command) => {
  const { code, stdout } = await runCommand([command, "--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain(`Usage: nomyo-native ${command}`);
});

test("no help text is wider than 120 columns", async () => {
  for (const args of [["--help"], ...names.map((name) => [name, "--help"])]) {
    const { stdout } = await runCommand(args);
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  }
});

test("--version is the package's", async () => {
  expect(await runCommand(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test.each<[string, string[], RegExp]>([
  ["no command", [], /A command is needed/],
  ["an unknown one", ["frobnicate"], /no command "(frobnicate|constructor)"/],
  ["the name of a property of objects", ["constructor"], /no command "(frobnicate|constructor)"/],
  [
    "a mistyped command",
    ["chta", "hi"],
    /no command "chta"\. Did you mean "chat"\? The commands are: demo, chat, keys/,
  ],
  ["an unknown option", ["chat", "--frobnicate"], /Unknown option '--frobnicate'\.\nRun: nomyo-native chat --help/],
  ["a mistyped option", ["chat", "--quite"], /Unknown option '--quite'\. Did you mean --quiet\?/],
  ["half an option", ["chat", "--api-key", "my-secret-key"], /'--api-key'\. Did you mean --api-key-file\?/],
  ["half an option with a value", ["chat", "--api-key=my-secret-key"], /'--api-key'\. Did you mean --api-key-file\?/],
  ["a mistyped mode", ["chat", "--attestation", "required", "hi"], /off, report or require\. Did you mean "require"\?/],
  ["a mistyped tier", ["chat", "--tier", "maximal", "hi"], /standard, high or maximum\. Did you mean "maximum"\?/],
  ["a mistyped policy", ["chat", "--secure-memory", "require", "hi"], /--secure-memory .*Did you mean "required"\?/],
  ["a mistyped action of keys", ["keys", "generat"], /no keys "generat"\. Did you mean keys generate\? Say which/],
  ["a mistyped action of attest", ["attest", "verfy", "x"], /no attest "verfy"\. Did you mean attest verify\?/],
  ["a mistyped action of receipt", ["receipt", "shwo", "x"], /no receipt "shwo"\. Did you mean receipt show\?/],
  ["an option without its value", ["router", "--port"], /--port/],
  ["a number that is none", ["router", "--port", "many"], /--port takes a whole number/],
  ["a policy that is none", ["router", "--secure-memory", "maybe"], /--secure-memory/],
  ["two prompts", ["chat", "--base-url", "http://127.0.0.1:9", "one", "two"], /an argument too many/],
  ["keys without an action", ["keys"], /keys generate, keys show or keys check/],
  ["TPM options without a TPM", ["router", "--aik", "ecc-p256"], /--aik needs --tcti/],
  ["an AIK that there is not", ["router", "--tcti", "x:", "--aik", "dsa"], /--aik is ecc-p256/],
  ["a handle that is none", ["router", "--tcti", "x:", "--aik-handle", "1"], /--aik-handle takes/],
  ["a tier's model without a tier", ["router", "--allow-model", "m"], /--allow-model takes TIER=MODEL/],
  ["a rate that is none", ["router", "--rate-limit", "fast"], /--rate-limit takes/],
  ["a certificate without its key", ["router", "--tls-cert", __filename], /go together/],
  [
    "a file that is not there",
    ["router", "--tls-cert", "/nonexistent", "--tls-key", __filename],
    /cannot be read \(ENOENT: there is no such file or folder\)/,
  ],
])("exit code 2 for %s", async (_what, args, message) => {
  const { code, stdout, stderr } = await runCommand(args);
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
});

test.each([
  [["router", "my-secret-key-1"]],
  [["keys", "my-secret-key-1"]],
  [["attest", "my-secret-key-1"]],
  [["chat", "--tier", "my-secret-key-1", "hi"]],
  [["chat", "--api-key=my-secret-key-1"]],
  [["chat", "--attestation", "my-secret-key-1", "hi"]],
])("an argument in the wrong place is not repeated: it may be a secret (%j)", async (args) => {
  const { code, stderr } = await runCommand(args);
  expect(code).toBe(2);
  expect(stderr).not.toContain("my-secret-key-1");
});

test("an interrupted request has its own exit code and says how far it came", async () => {
  const error = new APIUserAbortError("The request was ended by its `signal`.");
  expect(exitCodeOf(error)).toBe(130);
  expect(errorText(error, "chat")).toBe("interrupted; nothing was sent");
  error.sent = "maybe";
  expect(errorText(error, "chat")).toBe("interrupted; the server may have processed the request");
});
