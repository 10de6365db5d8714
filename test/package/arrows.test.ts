/**
 * ESLint keeps the order of the folders of lib/, and the raw addon with its owners: made-up files, linted as if they
 * stood there, under the project's own configuration.
 */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const root = join(__dirname, "../..");

interface Result {
  readonly messages: readonly { readonly ruleId: string | null; readonly message: string }[];
}

/**
 * What the rule says of each text. One process for all: starting ESLint is most of the work. Other rules need types,
 * and stay out.
 */
function lint(files: readonly (readonly [path: string, text: string])[]): (readonly string[])[] {
  const program = `
    import { ESLint } from "eslint";
    const eslint = new ESLint({
      overrideConfig: { files: ["lib/**/*"], languageOptions: { parserOptions: { projectService: false } } },
      ruleFilter: ({ ruleId }) => ruleId.startsWith("arrows/"),
    });
    const results = [];
    for (const [filePath, text] of ${JSON.stringify(files)}) {
      results.push((await eslint.lintText(text, { filePath }))[0]);
    }
    console.log(JSON.stringify(results));`;
  const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
    cwd: root,
    encoding: "utf8",
  });
  return (JSON.parse(output) as Result[]).map(({ messages }) => messages.map(({ message }) => message));
}

const upwards: [from: string, text: string][] = [
  ["memory/made-up.ts", 'import { native } from "../client/options.js";'],
  ["keys/made-up.ts", 'import type { Enforcement } from "../attestation/enforcement.js";'],
  ["http/made-up.ts", 'export { loadPrivateKey } from "../keys/key-store.js";'],
  ["envelope/made-up.ts", 'export * from "../chat/chunks.js";'],
  ["chat/made-up.ts", 'export const client = () => import("../client/options.js");'],
  ["client/made-up.ts", 'export const fetch = require("../openai/secure-fetch.js");'],
  ["router/made-up.ts", 'export type Fetch = import("../openai/secure-fetch.js").SecureFetch;'],
  ["openai/made-up.ts", 'import "../router/index.js";'],
  ["router/made-up.ts", 'import "../bench/payload.js";'],
  ["cli/made-up.ts", 'import { openPieces } from "../bench/node-envelope.js";'],
  ["made-up.ts", 'import type { LockFailure } from "./memory/lock-failure.js";'],
  ["client/made-up.ts", 'import { NomyoError } from "../index.js";'],
  ["client/made-up.ts", 'import "../../test/support/subject.js";'],
  ["attic/made-up.ts", 'import "../errors.js";'],
  ["client/made-up.ts", 'import { native } from "../native.js";'],
  ["router/made-up.ts", 'import { native as addon } from "../native.js";'],
  ["cli/made-up.ts", 'export const addon = () => import("../native.js");'],
  ["http/made-up.ts", 'export { native } from "../native.js";'],
  ["router/made-up.ts", 'import { type Locking } from "../native.js";'],
  ["native-error.ts", 'import * as addon from "./native.js";'],
];
const downwards: [from: string, text: string][] = [
  ["cli/made-up.ts", 'import "../router/index.js"; import "../errors.js";'],
  ["cli/bench.ts", 'import "../bench/payload.js";'],
  ["bench/made-up.ts", 'import "./payload.js"; import "../errors.js";'],
  ["memory/made-up.ts", 'import { native } from "../native.js";'],
  ["client/made-up.ts", 'import type { Locking } from "../native.js";'],
  ["router/made-up.ts", 'import "../client/options.js"; import "../keys/key-store.js"; import "./options.js";'],
  ["chat/made-up.ts", 'import type { AttestationReport } from "../attestation/report.js";'],
  ["http/made-up.ts", 'import "../memory/pool-bytes.js"; import "../errors.js"; import "node:http";'],
  ["made-up.ts", 'import "./errors.js";'],
  ["index.ts", 'export * from "./client/options.js";'],
];

const verdicts = lint([...upwards, ...downwards].map(([from, text]) => [`lib/${from}`, text]));

test.each(upwards.map(([from, text], i) => [from, text, verdicts[i]!]))("in %s refused: %s", (_from, _text, found) => {
  expect(found).toHaveLength(1);
});

test.each(downwards.map(([from, text], i) => [from, text, verdicts[upwards.length + i]!]))(
  "in %s allowed: %s",
  (_from, _text, found) => {
    expect(found).toEqual([]);
  },
);

test("every folder of lib/ has its level", () => {
  const folders = readdirSync(join(root, "lib"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const found = lint(folders.map(({ name }) => [`lib/${name}/made-up.ts`, 'import "../errors.js";']));
  expect(found.flat()).toEqual([]);
});
