/**
 * A great many streamed answers, eight at a time, through the proxy as a process: each byte is right, and what the
 * process holds does not grow. NOMYO_SOAK_ANSWERS says how many (scripts/soak: 10 000); a few hundred otherwise.
 */
import { readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { toChunks } from "../../../lib/chat/chunks.js";
import type { ChatCompletion } from "../../../lib/chat/chat-types.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router } from "../../../lib/router/index.js";
import { buildPackage } from "../../support/built-package.js";
import { startCommand } from "../../support/command-line.js";
import type { CommandProcess } from "../../support/command-line.js";
import { routerKeyFile } from "../../support/router-key.js";
import { seededRandom } from "../../support/seeded-random.js";
import { SoftwareTpm } from "../../support/software-tpm.js";
import { vectorKeyDir } from "../../support/test-clients.js";

const ANSWERS = Number(process.env["NOMYO_SOAK_ANSWERS"] ?? 300);
const AT_A_TIME = 8;
/** The heap that the process gets: with one answer of a kibibyte kept of each request 10 000 would not fit. */
const HEAP_MIB = 40;
/** What the process may grow by from the first tenth of a long run to its end, all that it has mapped. */
const GROWTH_KIB = 24 * 1024;
/** What a thread of the package keeps from its start: kJobStackBytes of native/core/threads/job_stack.h. */
const STACK_BYTES = 128 * 1024;
/** What it keeps from its first random byte: OpenSSL's generators, some 2 KiB. */
const GENERATOR_BYTES = 4 * 1024;

const keyFile = routerKeyFile();
const keyDir = vectorKeyDir();
const agent = new http.Agent({ keepAlive: true, maxSockets: AT_A_TIME });
let tpm: SoftwareTpm;
let router: Router;
let proxy: CommandProcess;
let base: string;
beforeAll(async () => {
  buildPackage();
  tpm = await SoftwareTpm.start();
  router = await startRouter({ keyFile: keyFile.path, tpm: { tcti: tpm.tcti } });
  proxy = startCommand(
    [
      ...["proxy", "--json", "--base-url", router.url, "--allow-http", "--attestation", "require"],
      ...["--key-dir", keyDir],
    ],
    { NOMYO_API_KEY: "k", NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB}` },
  );
  base = (JSON.parse(await proxy.firstLine) as { base_url: string }).base_url;
}, 300_000);
afterAll(async () => {
  agent.destroy();
  proxy.child.kill();
  expect(await proxy.ended).toBe(0);
  await router.close();
  await tpm.close();
  keyFile.remove();
  rmSync(keyDir, { recursive: true });
});

function ask(path: string, body?: object): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json" };
    const method = body === undefined ? "GET" : "POST";
    const request = http.request(new URL(path, base), { method, headers, agent }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode!, text: Buffer.concat(parts).toString() }));
    });
    request.once("error", reject).end(body === undefined ? "" : JSON.stringify(body));
  });
}

const residentKib = (): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${proxy.child.pid}/status`, "utf8"))![1]);
const metric = async (name: string): Promise<number> =>
  Number(new RegExp(`^nomyo_proxy_${name} (\\d+)$`, "m").exec((await ask("/metrics")).text)![1]);

/** What is in use in the pool when no job is left; and the threads, which start when they are needed. */
async function settledPool(): Promise<{ bytes: number; threads: number }> {
  while ((await metric("jobs")) > 0) await sleep(10);
  return { bytes: await metric("pool_bytes"), threads: await metric("threads") };
}

/** From one character to some 40 KiB, in one to four bytes each. */
function promptOf(index: number): string {
  const random = seededRandom(index + 1);
  const alphabet = ["a", "Z", '"', "\\", "\n", "\u0001", "ß", "€", "👋", "\u2028", "</script>", " "];
  return Array.from(
    { length: 1 + Math.floor(10 ** (random() * 4)) },
    () => alphabet[Math.floor(random() * alphabet.length)],
  ).join("");
}

test(
  `${ANSWERS} streamed answers are right, byte for byte, and nothing of them stays`,
  async () => {
    const request = (index: number, more: object) => ({
      model: `m-${index % 3}`,
      messages: [{ role: "user", content: promptOf(index) }],
      ...more,
    });
    const plain = JSON.parse((await ask("/v1/chat/completions", request(0, {}))).text) as ChatCompletion;
    const said = plain.choices[0]!.message.content!;
    const before = said.slice(0, said.length - promptOf(0).length);
    expect(said).toBe(before + promptOf(0));
    const inUse = await settledPool();

    let wrong = 0;
    const one = async (index: number): Promise<void> => {
      const options = index % 2 === 0 ? undefined : { include_usage: true };
      const { status, text } = await ask(
        "/v1/chat/completions",
        request(index, { stream: true, stream_options: options ?? null }),
      );
      // What is the answer's own is taken from its last event, and all else is known.
      const last = JSON.parse(text.split("\n\n").at(-3)!.slice("data: ".length)) as ChatCompletion;
      const whole = {
        ...plain,
        ...{ id: last.id, created: last.created, model: `m-${index % 3}`, _metadata: last._metadata },
        ...(options === undefined ? {} : { usage: last.usage }),
        choices: [
          { ...plain.choices[0]!, message: { ...plain.choices[0]!.message, content: before + promptOf(index) } },
        ],
      } as unknown as ChatCompletion;
      const events = toChunks(whole, options).map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`);
      const right = status === 200 && text === [...events, "data: [DONE]\n\n"].join("");
      if (!right || last._metadata.attestation_report?.verified !== true) wrong += 1;
    };
    let next = 0;
    const sizes: number[] = [];
    const worker = async (): Promise<void> => {
      for (let index = next++; index < ANSWERS; index = next++) {
        await one(index);
        if (index % Math.ceil(ANSWERS / 20) === 0) sizes.push(residentKib());
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, worker));
    sizes.push(residentKib());
    expect(wrong).toBe(0);
    // What the last requests had is given back when their sockets and keys have been looked at once more.
    const left = async (): Promise<number> => {
      const { bytes, threads } = await settledPool();
      return bytes - inUse.bytes - (threads - inUse.threads) * STACK_BYTES - threads * GENERATOR_BYTES;
    };
    for (let tries = 0; tries < 100 && (await left()) > 0; tries += 1) await sleep(100);
    expect(await left()).toBeLessThanOrEqual(0);
    if (ANSWERS < 5000) return;
    process.stdout.write(`resident, KiB, from first to last: ${sizes.join(" ")}\n`);
    expect(Math.max(...sizes.slice(-5)) - Math.max(...sizes.slice(0, 3))).toBeLessThan(GROWTH_KIB);
  },
  60_000 + 300 * ANSWERS,
);
