/**
 * What stands in the documents works: each block of code is run as it stands there, or a comment above it says why not.
 * A block of TypeScript or JavaScript without an import goes on from those above it on its page, as a reader does; all
 * of TypeScript is checked by the compiler too. The shell's blocks of a page run one after the other in one folder. The
 * hosted service is played by a router of this machine that has a software TPM, at the same address and by TLS.
 */
import { execFile, execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import ts from "typescript";

import { startRouter } from "../../lib/router/index.js";
import type { Router } from "../../lib/router/index.js";
import { buildPackage, root } from "../support/built-package.js";
import { makeCertificates } from "../support/certificates.js";
import type { Certificates } from "../support/certificates.js";
import { blocksIn, blocksOf, documents } from "../support/document-blocks.js";
import type { Block } from "../support/document-blocks.js";
import { startModel } from "../support/model-server.js";
import type { TestServer } from "../support/model-server.js";
import { routerKeyFile } from "../support/router-key.js";
import { SoftwareTpm } from "../support/software-tpm.js";

const all = documents.flatMap(blocksOf);
const program = ({ language }: Block): boolean => ["ts", "js", "mjs", "cjs"].includes(language);
/** Neither programs nor commands: pictures, and layouts of folders. */
const pictures = ["", "text"];
const toRun = (block: Block): boolean => block.fragment === undefined && block.runBy === undefined;
const at = ({ page, line }: Block): string => `${page}:${line}`;

describe("every block", () => {
  test("is run here, by the test that the comment above it names, or the comment says why it is not", () => {
    const known = ["ts", "js", "mjs", "cjs", "sh", "json", ...pictures];
    const unknown = all.filter((block) => toRun(block) && !known.includes(block.language));
    expect(unknown.map(at)).toEqual([]);
    expect(all.filter(toRun).length).toBeGreaterThan(20);
    // A reason is a sentence of a few words at least.
    expect(all.filter(({ fragment }) => fragment !== undefined && !/\w+ \w+ \w+/.test(fragment)).map(at)).toEqual([]);
  });

  test("that another test runs is on a page that this test reads", () => {
    const claimed = all.filter(({ runBy }) => runBy !== undefined);
    /** A page that only a comment names is not read. */
    const codeOf = (path: string): string =>
      readFileSync(join(root, path), "utf8").replace(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, "");
    const isRun = (path: string): boolean =>
      path.endsWith(".test.ts") || readFileSync(join(root, "scripts/test-long"), "utf8").includes(path);
    const wrong = claimed.filter(
      ({ runBy, page }) =>
        !existsSync(join(root, runBy!)) || !isRun(runBy!) || !codeOf(runBy!).includes(page.split("/").at(-1)!),
    );
    expect(wrong.map(at)).toEqual([]);
  });

  test("that is a picture has no command or program in it", () => {
    const begins = [
      "\\$ ",
      "sudo ",
      "npm ",
      "npx ",
      "node ",
      "scripts/",
      "nomyo-native ",
      "docker ",
      "kubectl ",
      "curl ",
    ];
    const programs = ["systemctl ", "export \\w+=", "import ", "const ", "await "];
    const command = new RegExp(`^\\s*(${[...begins, ...programs].join("|")})`, "m");
    const hidden = all.filter((block) => pictures.includes(block.language) && toRun(block) && command.test(block.code));
    expect(hidden.map(at)).toEqual([]);
  });

  test("is found in every form that Markdown has for one", () => {
    for (const form of [
      "~~~sh\nfalse\n~~~",
      "```sh title\nfalse\n```",
      "> ```sh\n> false\n> ```",
      "<pre>false</pre>",
      "* ```",
    ]) {
      expect(() => blocksIn("page", `text\n\n${form}\n`)).toThrow("page:3: ");
    }
    expect(blocksIn("page", "- text\n\n  ```sh\n  true\n  ```\n").map(({ code }) => code)).toEqual(["true"]);
  });

  test.each(all.filter((block) => block.language === "json" && toRun(block)).map((block) => [at(block), block]))(
    "of JSON is JSON: %s",
    (_, block) => expect(() => JSON.parse(block.code) as unknown).not.toThrow(),
  );
});

/** The programs of a page: a block without an import goes on from the one before. */
function programs(page: string): { readonly name: string; readonly language: string; readonly code: string }[] {
  const found: { name: string; language: string; code: string }[] = [];
  for (const block of blocksOf(page).filter((each) => program(each) && toRun(each))) {
    const before = found.at(-1);
    if (before === undefined || /^(import |const .*\brequire\()/m.test(block.code)) {
      found.push({ name: at(block), language: block.language, code: block.code });
    } else before.code += `\n${block.code}`;
  }
  return found;
}

let folder: string;
let router: Router;
let model: TestServer;
/** The service's, and the reader's own. */
let tpm: SoftwareTpm;
let ownTpm: SoftwareTpm;
let certificates: Certificates;
const keyFile = routerKeyFile();
/** A reader's own, and the one that everybody may use. */
const apiKeys = ["an-api-key-of-the-documents", "NOMYO_AI_E2EE_INFERENCE"];

beforeAll(async () => {
  buildPackage();
  mkdirSync(join(root, "build"), { recursive: true });
  // Within the package, which finds itself by its name there, as it finds what its developers have installed.
  folder = mkdtempSync(join(root, "build", "documents-"));
  certificates = makeCertificates();
  [tpm, ownTpm] = [await SoftwareTpm.start(), await SoftwareTpm.start()];
  // As a machine that has booted: a baseline of PCRs that nothing was measured into fits nothing.
  const measured = [0, 7, 10].map((pcr) => `${pcr}:sha256=${`${pcr % 10}`.repeat(64)}`);
  execFileSync("tpm2_pcrextend", measured, { env: { ...process.env, TPM2TOOLS_TCTI: tpm.tcti } });
  // With API keys, as the service has: without, a router answers to its own address alone, and not to another's name.
  router = await startRouter({ keyFile: keyFile.path, tls: certificates.server, tpm: { tcti: tpm.tcti }, apiKeys });
  model = await startModel(() => "An answer of the model.");
}, 900_000);
afterAll(async () => {
  await router.close();
  await model.stop();
  await tpm.close();
  await ownTpm.close();
  certificates.remove();
  keyFile.remove();
  rmSync(folder, { recursive: true, force: true });
});

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

/**
 * What this machine has in the place of what a document names: ports that are free, its model, its TPM, folders that it
 * may write to.
 */
async function here(code: string, home: string): Promise<string> {
  const [local, proxied, app] = [await freePort(), await freePort(), await freePort()];
  return code
    .replaceAll("127.0.0.1:8000", new URL(model.url).host)
    .replaceAll("127.0.0.1:11434", new URL(model.url).host)
    .replaceAll("device:/dev/tpmrm0", ownTpm.tcti)
    .replaceAll("0.0.0.0", "127.0.0.1")
    .replaceAll("/etc/nomyo", join(home, "etc"))
    .replace(/\b8443\b/g, `${local}`)
    .replace(/\b8585\b/g, `${proxied}`)
    .replace(/\b3000\b/g, `${app}`);
}

function environment(home: string): NodeJS.ProcessEnv {
  return {
    PATH: `${join(home, "bin")}:${process.env["PATH"] ?? ""}`,
    HOME: home,
    NOMYO_API_KEY: apiKeys[0],
    NODE_OPTIONS: `--require ${join(root, "test/support/hosted-service-here.cjs")}`,
    NODE_EXTRA_CA_CERTS: certificates.caFile,
    NODE_NO_WARNINGS: "1",
    HOSTED_SERVICE_PORT: `${router.port}`,
  };
}

/** A folder for one page, with the files that its text takes for granted: the reader's own. */
function sandbox(name: string): string {
  const home = join(folder, name.replace(/\W/g, "-"));
  mkdirSync(join(home, "bin"), { recursive: true });
  const put = (file: string, content: string): void => {
    mkdirSync(join(home, file, ".."), { recursive: true });
    writeFileSync(join(home, file), content, { mode: 0o600 });
  };
  put("prompt.txt", "What does a TPM quote prove?");
  put("cert.pem", certificates.server.cert);
  put("key.pem", certificates.server.key);
  // A server goes on beside what comes after it, as in a terminal of its own; a second one takes the place of the
  // first.
  put(
    "bin/nomyo-native",
    `#!/bin/bash
command=(${JSON.stringify(process.execPath)} ${JSON.stringify(join(root, "dist/cli/main.js"))})
case " $* " in
  *" --help "*) ;;
  " router "* | " proxy "*)
    at=${JSON.stringify(home)}/$1
    if [ -e "$at.pid" ]; then
      kill "$(cat "$at.pid")"
      while kill -0 "$(cat "$at.pid")" 2>/dev/null; do sleep 0.05; done
    fi
    rm -f "$at.out"
    "\${command[@]}" "$@" >"$at.out" 2>"$at.err" &
    echo $! >"$at.pid"
    until [ -s "$at.out" ]; do kill -0 $! || { cat "$at.err" >&2; exit 1; }; sleep 0.05; done
    exit ;;
esac
exec "\${command[@]}" "$@"
`,
  );
  put("bin/npx", `#!/bin/bash\n[ "$1" = nomyo-native ] || { echo "not here: npx $1" >&2; exit 1; }\nexec "$@"\n`);
  for (const name of ["nomyo-native", "npx"]) chmodSync(join(home, "bin", name), 0o700);
  return home;
}

const run = (command: string, args: string[], cwd: string): Promise<{ failed: boolean; output: string }> =>
  new Promise((resolve) => {
    const options = { cwd, env: environment(cwd), timeout: 240_000, maxBuffer: 16 << 20 };
    const child = execFile(command, args, options, (error, stdout, stderr) =>
      resolve({ failed: error !== null, output: stdout + stderr }),
    );
    child.stdin!.end();
  });

const pagesWith = (what: (block: Block) => boolean): string[] =>
  documents.filter((page) => blocksOf(page).some((block) => what(block) && toRun(block)));

test("all TypeScript compiles, as it stands", () => {
  const work = join(folder, "types");
  mkdirSync(work);
  const files = documents
    .flatMap(programs)
    .filter(({ language }) => language === "ts")
    .map(({ name, code }) => {
      const file = join(work, `${name.replace(/\W/g, "-")}.mts`);
      writeFileSync(file, code);
      return file;
    });
  expect(files.length).toBeGreaterThan(5);
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.esnext.d.ts"],
    types: ["node"],
    typeRoots: [join(root, "node_modules/@types")],
  };
  const found = ts.getPreEmitDiagnostics(ts.createProgram(files, options));
  const host = {
    getCanonicalFileName: (name: string) => name,
    getCurrentDirectory: () => work,
    getNewLine: () => "\n",
  };
  expect(ts.formatDiagnostics(found, host)).toBe("");
}, 900_000);

test.each(pagesWith(program).flatMap((page) => programs(page).map((each) => [each.name, each] as const)))(
  "the program runs: %s",
  async (name, { language, code }) => {
    const home = sandbox(name);
    writeFileSync(join(home, "policy.json"), JSON.stringify({ version: 1, mode: "require", banks: ["sha256"] }));
    const text = await here(code, home);
    const compiled = ts.transpileModule(text, {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    }).outputText;
    const file = join(home, language === "cjs" ? "program.cjs" : "program.mjs");
    writeFileSync(file, language === "ts" ? compiled : text);
    expect(await run(process.execPath, [file], home)).toEqual({ failed: false, output: expect.any(String) });
  },
  900_000,
);

test.each(pagesWith(({ language }) => language === "sh"))(
  "the commands run: %s",
  async (page) => {
    const home = sandbox(`${page}-sh`);
    for (const name of ["examples", "package.json"]) {
      if (!existsSync(join(home, name))) symlinkSync(join(root, name), join(home, name));
    }
    const blocks = blocksOf(page).filter((block) => block.language === "sh" && toRun(block));
    const script = blocks.map((block) => `echo "== ${at(block)}"\n${block.code}\n`).join("");
    const stop =
      `stop() { for file in *.pid; do [ ! -e "$file" ] || kill "$(cat "$file")" || true; done; }\ntrap ` +
      "stop EXIT\n";
    writeFileSync(join(home, "commands.sh"), stop + (await here(script, home)));
    // As a person types them: one that fails ends it.
    const { failed, output } = await run("bash", ["-euo", "pipefail", "commands.sh"], home);
    expect(failed ? output : "").toBe("");
    expect(output).toContain(`== ${at(blocks.at(-1)!)}`);
  },
  900_000,
);
