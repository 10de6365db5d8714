// The demo itself, on the built package: a software TPM, the router as a process of its own, three prompts, and two
// attacks. Ends with 0 only if everything, the two refusals included, went as it must. scripts/demo installs and
// builds, then calls this.
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import diagnosticsChannel from "node:diagnostics_channel";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { SecureChatCompletion, SecurityError, getMemoryProtectionInfo, getBuildInfo } = createRequire(import.meta.url)(
  join(root, "dist", "index.js"),
);
const command = join(root, "dist", "cli", "main.js");
const addon = join(root, "build", "Release", "nomyo_native.node");

// ---- how it looks
// ----------------------------------------------------------------------------------------------------

const colour = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;
const paint = (code) => (text) => (colour ? `\x1b[${code}m${text}\x1b[0m` : String(text));
const [bold, dim, green, red, cyan] = [1, 2, 32, 31, 36].map(paint);
const width = 100;
const print = (text = "") => process.stdout.write(`${text}\n`);
const heading = (text) => print(`\n${cyan(`── ${text} `.padEnd(width, "─"))}`);
const bytes = (count) => `${count.toLocaleString("en")} B`;
const ms = (count) => (count < 1000 ? `${count.toFixed(count < 10 ? 1 : 0)} ms` : `${(count / 1000).toFixed(1)} s`);

/** A label and its text, which is broken between words. */
function row(label, text) {
  const lines = [];
  for (const paragraph of String(text).split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line !== "" && line.length + word.length + 1 > width - 18) {
        lines.push(line);
        line = word;
      } else line = line === "" ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  lines.forEach((line, index) => print(`  ${dim((index === 0 ? label : "").padEnd(14))}  ${line}`));
}

let failures = 0;
function expect(what, holds) {
  if (!holds) failures += 1;
  row(holds ? "as expected" : "UNEXPECTED", `${holds ? green("✔") : red("✘")} ${what}`);
}

// ---- what it starts, and stops in the end whatever happens
// -----------------------------------------------------------------

const cleanups = [];
async function stopEverything() {
  for (const stop of cleanups.splice(0).reverse()) {
    await stop().catch((error) => process.stderr.write(`while stopping: ${error.message}\n`));
  }
}

/** A child process that is ended, by its id, with the demo. */
function start(program, args, options) {
  const child = spawn(program, args, options);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.once("error", (error) => process.stderr.write(`${program}: ${error.message}\n`));
  cleanups.push(async () => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await exited;
    clearTimeout(late);
  });
  return child;
}

async function startTpm() {
  const folder = await mkdtemp(join(tmpdir(), "nomyo-demo-"));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  const socket = join(folder, "sock");
  const tpm = start(
    "swtpm",
    [
      ...["socket", "--tpm2", "--tpmstate", `dir=${folder}`],
      ...["--server", `type=unixio,path=${socket}`, "--ctrl", `type=unixio,path=${socket}.ctrl`],
      ...["--flags", "not-need-init,startup-clear", "--pid", `file=${socket}.pid`],
    ],
    { stdio: "ignore" },
  );
  // Written when both channels are open: a socket's file is there before it listens.
  while (!existsSync(`${socket}.pid`)) {
    if (tpm.pid === undefined || tpm.exitCode !== null) throw new Error("the software TPM did not start");
    await sleep(20);
  }
  const tcti = `swtpm:path=${socket}`;
  // A software TPM has measured nothing. So that there is something to see, the demo measures as a boot would.
  for (const [pcr, file] of [
    [0, addon],
    [7, join(root, "package.json")],
    [10, command],
  ]) {
    const digest = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
    await promisify(execFile)("tpm2_pcrextend", ["-T", tcti, `${pcr}:sha256=${digest}`]);
  }
  return tcti;
}

async function startRouter(tcti) {
  const router = start(
    process.execPath,
    [command, "router", "--json", "--tcti", tcti],
    // Its log goes where the demo's errors go; the two warnings about keys and the model are meant for operators.
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  router.stderr.on("data", (chunk) => (log += chunk));
  const line = await new Promise((resolve, reject) => {
    let text = "";
    router.stdout.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    router.once("exit", (code) => reject(new Error(`the router ended with ${code}:\n${log}`)));
  });
  return JSON.parse(line);
}

/** Stands between client and router: counts the bytes of the bodies, and changes what it is told to. */
async function startWire(target) {
  const wire = { url: "", up: 0, down: 0, changeHeaders: (headers) => headers, changeAnswer: (body) => body };
  const server = http.createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      wire.up = body.length;
      const headers = wire.changeHeaders({ ...request.headers, "content-length": body.length });
      const onward = http.request(
        new URL(request.url, target),
        { method: request.method, headers, agent: false },
        (answer) => {
          const parts = [];
          answer.on("data", (chunk) => parts.push(chunk));
          answer.on("end", () => {
            const whole = Buffer.concat(parts);
            wire.down = whole.length;
            const changed =
              answer.headers["content-type"] === "application/octet-stream" ? wire.changeAnswer(whole) : whole;
            response.writeHead(answer.statusCode, { ...answer.headers, "content-length": changed.length });
            response.end(changed);
          });
          answer.on("error", () => response.destroy());
        },
      );
      onward.on("error", () => response.destroy());
      onward.end(body);
    });
    request.on("error", () => undefined);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(
    () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  );
  wire.url = `http://127.0.0.1:${server.address().port}`;
  return wire;
}

// ---- the prompts
// -------------------------------------------------------------------------------------------------------

const prompts = [
  {
    title: "1  a plain prompt",
    request: { model: "echo", messages: [{ role: "user", content: "What does a TPM quote prove?" }] },
    check: (answer) => answer.choices[0].message.content.endsWith("You wrote: What does a TPM quote prove?"),
    what: "the model got the prompt as it was written",
  },
  {
    title: "2  tools and unicode",
    request: {
      model: "echo",
      messages: [
        { role: "system", content: "Du bist eine hilfreiche Assistenz. 你好 · здравствуй · שלום" },
        { role: "user", content: 'call lookup_patient {"name":"Zoë Müller-Łukasz 🏥","ward":"三号"}' },
      ],
      tools: [
        {
          type: "function",
          function: {
            name: "lookup_patient",
            parameters: {
              type: "object",
              properties: { name: { type: "string" }, ward: { type: "string" } },
              required: ["name", "ward"],
            },
          },
        },
      ],
    },
    check: (answer) => {
      const [call] = answer.choices[0].message.tool_calls ?? [];
      return (
        call?.function.name === "lookup_patient" && JSON.parse(call.function.arguments).name === "Zoë Müller-Łukasz 🏥"
      );
    },
    what: "the tool call came back with every character of its arguments",
  },
  {
    title: "3  security tier maximum",
    request: {
      model: "echo",
      security_tier: "maximum",
      messages: [{ role: "user", content: "Only a server with a working TPM may read this." }],
    },
    check: (answer) => answer._metadata.security_tier === "maximum",
    what: "the server says that it worked at tier maximum",
  },
];

function showAnswer(answer) {
  const { message } = answer.choices[0];
  if (message.content !== null) row("answer", bold(message.content));
  for (const call of message.tool_calls ?? [])
    row("tool call", bold(`${call.function.name}(${call.function.arguments})`));
}

function showMemory(answer) {
  const ours = getMemoryProtectionInfo();
  const used = ours.stats ?? ours;
  row(
    "memory, here",
    `${ours.mechanism}, ${bytes(used.bytesLocked)} locked, ${bytes(used.bytesInUse)} in use, peak ` +
      `${bytes(used.bytesPeak)}`,
  );
  const theirs = answer._metadata.memory_protection ?? {};
  row(
    "memory, router",
    `${theirs.mechanism}, ${theirs.memory_locked ? "locked" : "NOT locked"}, ${bytes(theirs.bytes_locked ?? 0)}`,
  );
}

function showAttestation(report) {
  const passed = report.checks.filter(({ ok }) => ok === true).length;
  row(
    "attestation",
    `${report.verified ? green("verified") : red(`refused: ${report.code}`)}, ${passed} checks passed, ` +
      `${report.trust}, ` +
      `AIK ${report.aik?.scheme ?? "?"} ${report.aik?.curve ?? report.aik?.bits ?? ""} ` +
      `(${report.aik?.hierarchy ?? "?"})`,
  );
  row("nonce", report.quote?.qualifyingDataHex ?? "none");
  for (const [bank, values] of Object.entries(report.pcrs ?? {})) {
    for (const [index, value] of Object.entries(values)) row(`PCR ${index}`, `${bank}:${value}`);
  }
}

async function ask(client, wire, { title, request, check, what }) {
  heading(title);
  const phases = [];
  const onPhase = ({ phase, milliseconds }) => {
    if (milliseconds >= 0.05) phases.push(`${phase} ${ms(milliseconds)}`);
  };
  diagnosticsChannel.subscribe("nomyo:request:phase", onPhase);
  const started = performance.now();
  const answer = await client.create(request);
  const took = performance.now() - started;
  diagnosticsChannel.unsubscribe("nomyo:request:phase", onPhase);

  showAnswer(answer);
  row(
    "on the wire",
    `${bytes(wire.up)} sent, ${bytes(wire.down)} received, for ${bytes(Buffer.byteLength(JSON.stringify(request)))} ` +
      "of request",
  );
  row("time", `${bold(ms(took))} in all${phases.length === 0 ? "" : `: ${phases.join(", ")}`}`);
  showMemory(answer);
  const report = answer._metadata.attestation_report;
  showAttestation(report);
  expect(what, check(answer));
  const id = answer._metadata.payload_id;
  const nonce = createHash("sha256").update(id, "utf8").digest("hex").slice(0, 32);
  expect(
    "the quote verified, and its nonce is the first half of SHA-256(payload id)",
    report.verified && report.quote.qualifyingDataHex === nonce,
  );
  expect(
    "PCRs 0, 7 and 10 are quoted",
    ["0", "7", "10"].every((index) => /^[0-9a-f]{64}$/.test(report.pcrs?.sha256?.[index] ?? "")),
  );
}

async function attack(client, title, what) {
  heading(title);
  const marker = "nothing of this may come out";
  let refused;
  try {
    await client.create({ model: "echo", messages: [{ role: "user", content: marker }] });
  } catch (error) {
    refused = error;
  }
  if (refused === undefined) {
    expect("the answer was refused", false);
    return;
  }
  row("refused with", `${bold(refused.constructor.name)} ${refused.code ?? ""}: ${refused.message}`);
  expect(what, refused instanceof SecurityError);
  expect("the error holds nothing of the answer", !`${refused.stack} ${JSON.stringify(refused)}`.includes(marker));
}

/** Changes one character of the ciphertext, leaving good base64. */
function flipOneBit(body) {
  const changed = Buffer.from(body);
  const at = changed.indexOf('"ciphertext"') + 40;
  changed[at] = changed[at] === 0x41 ? 0x42 : 0x41;
  return changed;
}

async function demo() {
  const build = getBuildInfo();
  print(
    bold(`nomyo-native ${build.version}`) +
      dim(`  ${build.opensslVersion}, Node ${process.version}, ${process.platform}-${process.arch}`),
  );
  const tcti = await startTpm();
  const router = await startRouter(tcti);
  const wire = await startWire(router.url);
  row("software TPM", tcti.replace(tmpdir(), "…"));
  row("router", `${router.url}, process ${router.pid}`);
  row("server key", `sha256:${router.key_sha256} (pinned)`);

  const started = performance.now();
  const client = new SecureChatCompletion({
    baseUrl: wire.url,
    allowHttp: true,
    maxRetries: 0,
    serverKey: { fingerprints: [router.key_sha256] },
    attestation: "require",
  });
  cleanups.push(() => client.close());
  await client.ready();
  row("client key", `RSA-4096, made in ${ms(performance.now() - started)}, in locked memory only`);

  for (const prompt of prompts) await ask(client, wire, prompt);

  wire.changeAnswer = flipOneBit;
  await attack(client, "4  one character of the answer changed on its way", "a changed answer does not open");
  wire.changeAnswer = (body) => body;

  // Only the id changes: the request opens as before, and the router answers, but for another request.
  wire.changeHeaders = (headers) => ({ ...headers, "x-payload-id": swapId(headers["x-payload-id"]) });
  await attack(
    client,
    "5  an answer, and a quote, made for another request",
    "an answer with another payload id is refused",
  );
  wire.changeHeaders = (headers) => headers;

  heading("after the attacks");
  const answer = await client.create({ model: "echo", messages: [{ role: "user", content: "still there?" }] });
  expect("client and router work on", answer.choices[0].message.content.endsWith("still there?"));
}

/** Another UUID; a commitment after it stays. */
function swapId(id = "") {
  return (id[0] === "0" ? "1" : "0") + id.slice(1);
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => void stopEverything().then(() => process.exit(130)));
}
try {
  await demo();
} catch (error) {
  failures += 1;
  print(red(`\nThe demo failed: ${error instanceof Error ? error.message : error}`));
} finally {
  await stopEverything();
}
print(
  failures === 0 ? `\n${green("Everything was as expected.")}` : `\n${red(`${failures} things were not as expected.`)}`,
);
process.exitCode = failures === 0 ? 0 : 1;
