// node test/guides/with-packages.mjs: the programs of docs/guides.md that want packages which are not installed here
// (NestJS, vitest), as they stand there, with those packages from the registry and a copy of the built package. A part
// of scripts/test-long; after scripts/build.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const page = readFileSync(join(root, "docs/guides.md"), "utf8");
/** The one block of the page that this file is named to run, and that has this in it. */
function block(part) {
  const blocks = [...page.matchAll(/<!-- run by: test\/guides\/with-packages\.mjs -->\n\n```\w+\n([^]*?)\n```/g)];
  const found = blocks.map(([, code]) => code).filter((code) => code.includes(part));
  if (found.length !== 1) throw new Error(`docs/guides.md has ${found.length} blocks with ${part}`);
  return found[0];
}

const folder = mkdtempSync(join(tmpdir(), "nomyo-guides-"));
const packages = [
  ...["@nestjs/common@12", "@nestjs/core@12", "@nestjs/platform-express@12", "reflect-metadata@0.2", "rxjs@7"],
  "vitest@4",
];
const ends = [() => rmSync(folder, { recursive: true })];

/** What NestJS's compiler does of it: its decorators say which provider a controller is given. */
const compilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  strict: true,
  skipLibCheck: true,
  types: ["node"],
  typeRoots: [join(root, "node_modules/@types")],
  outDir: join(folder, "out"),
};

const apiKey = "an-api-key-of-the-guides";

/** A router with TLS in the place of the hosted service. */
async function service() {
  const { startRouter } = await import(join(root, "dist/router/index.js"));
  const certificate = (...args) => execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  const subject = ["-subj", "/CN=api.nomyo.ai", "-addext", "subjectAltName=DNS:api.nomyo.ai"];
  certificate(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    "tls.key",
    "-out",
    "tls.pem",
    "-days",
    "2",
    ...subject,
  );
  const onAsked = { do: () => undefined };
  const model = createServer((request, response) => {
    request.resume().on("end", () => {
      onAsked.do();
      const message = { role: "assistant", content: "An answer." };
      const completion = { id: "1", object: "chat.completion", created: 0, model: "m" };
      response.end(JSON.stringify({ ...completion, choices: [{ index: 0, finish_reason: "stop", message }] }));
    });
  });
  await new Promise((listening) => model.listen(0, "127.0.0.1", listening));
  ends.push(() => model.close());
  const keyFile = join(folder, "router.pem");
  copyFileSync(join(root, "test/vectors/keys/client_private.pem"), keyFile);
  chmodSync(keyFile, 0o600);
  const tls = {
    cert: readFileSync(join(folder, "tls.pem"), "utf8"),
    key: readFileSync(join(folder, "tls.key"), "utf8"),
  };
  const upstream = { url: `http://127.0.0.1:${model.address().port}` };
  const router = await startRouter({ keyFile, tls, upstream, apiKeys: [apiKey] });
  ends.push(() => router.close());
  return { port: router.port, onAsked };
}

async function nest() {
  const [port] = await ports(1);
  const file = join(folder, "nest.mts");
  writeFileSync(file, block("NestFactory").replace("3000", `${port}`));
  const program = ts.createProgram([file], compilerOptions);
  const wrong = [...ts.getPreEmitDiagnostics(program), ...program.emit().diagnostics];
  if (wrong.length > 0)
    throw new Error(wrong.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n")).join("\n"));

  const { port: servicePort, onAsked } = await service();
  const child = spawn(
    process.execPath,
    ["--require", join(root, "test/support/hosted-service-here.cjs"), join(folder, "out/nest.mjs")],
    {
      cwd: folder,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env.PATH,
        NOMYO_API_KEY: apiKey,
        NODE_EXTRA_CA_CERTS: join(folder, "tls.pem"),
        HOSTED_SERVICE_PORT: `${servicePort}`,
      },
    },
  );
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (said += text));
  const ended = once(child, "close");
  ends.push(() => child.kill("SIGKILL"));
  onAsked.do = () => child.kill("SIGTERM");
  const question = { method: "POST", headers: { "content-type": "application/json" }, body: '{"question":"Hello"}' };
  // It listens when its key is made.
  let response;
  while (response === undefined) {
    response = await fetch(`http://127.0.0.1:${port}/ask`, question).catch(() => undefined);
    if (child.exitCode !== null) throw new Error(said);
    if (response === undefined) await sleep(50);
  }
  const answer = await response.json();
  if (answer.answer !== "An answer.") throw new Error(`${JSON.stringify(answer)}\n${said}`);
  // Nest ends its process by the signal that it was sent.
  const [code, signal] = await ended;
  if (signal !== "SIGTERM") throw new Error(`ended with ${code}, ${signal}: ${said}`);
  if (/error|warn/i.test(said)) throw new Error(said);
}

function vitest() {
  const file = "own.test.mjs";
  writeFileSync(join(folder, file), block("vi.resetModules()"));
  const { status, stdout, stderr } = spawnSync(process.execPath, ["node_modules/vitest/vitest.mjs", "run", file], {
    cwd: folder,
    encoding: "utf8",
    env: { ...process.env, NO_COLOR: "1" },
  });
  if (status !== 0 || !/Tests +2 passed \(2\)/.test(stdout)) throw new Error(stdout + stderr);
}

async function ports(count) {
  const servers = Array.from({ length: count }, () => createTcpServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const numbers = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
  return numbers;
}

try {
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  execFileSync("npm", ["install", "--silent", "--no-audit", "--no-fund", ...packages], {
    cwd: folder,
    stdio: "inherit",
  });
  const own = join(folder, "node_modules/nomyo-native");
  mkdirSync(own);
  for (const part of ["package.json", "dist", "build/Release/nomyo_native.node"]) {
    cpSync(join(root, part), join(own, part), { recursive: true });
  }
  for (const guide of [vitest, nest]) {
    await guide();
    console.log(`ok    docs/guides.md: ${guide.name}`);
  }
} finally {
  for (const end of ends.reverse()) await end();
}
