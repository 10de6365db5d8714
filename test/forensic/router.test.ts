/**
 * The proof that a router, with its echo model or before an upstream, leaves nothing of prompts and answers in memory
 * which is not the pool's: it is stopped while an answer is half there, or is held back, and after the answer, and
 * everything that root can read of it is searched for every fragment of 12 bytes. It is also made to dump core at such
 * moments, with the registers of all its threads.
 *
 * Upstream and client run in the test's own process, so none of their memory is the router's.
 */
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { Server, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { asLockable } from "../support/lockable.js";
import { outsidePool, scanProcess, whyNotReadable } from "../support/memory-scan.js";
import type { Hit, Patterns, ProcessScan } from "../support/memory-scan.js";
import { bytesOf } from "../support/model-server.js";
import { fetchRaw, postPackage } from "../support/node-client.js";
import { nodeKeyPair, nodeOpen, nodeSeal } from "../support/node-package.js";
import { samplePatterns, textPatterns } from "../support/secret-patterns.js";
import { withoutMemfdSecret } from "../support/subject.js";
import { WatchedProcess } from "../support/watched-process.js";

// Some seconds for each scan of a 9 MB answer on an idle machine.
jest.setTimeout(240_000);

const client = nodeKeyPair(2048);
/** Characters that JSON and base64url leave alone, so that the text is the same bytes wherever it stands. */
const textOf = (bytes: number) =>
  randomBytes(Math.ceil(bytes * 0.75))
    .toString("base64url")
    .slice(0, bytes);

const large = asLockable(64 << 20, 9_000_000, 1_000_000);
const cases = [
  { bytes: 1_000, form: "whole" },
  { bytes: 1_000, form: "chunked" },
  { bytes: 300_000, form: "whole" },
  { bytes: 300_000, form: "chunked" },
  { bytes: large, form: "whole" },
  { bytes: large, form: "chunked" },
  { bytes: 1_000, form: "refused" },
  { bytes: 300_000, form: "refused" },
] as const;

/** Writes an answer, and waits in the middle of it. */
async function respond(
  response: ServerResponse,
  form: (typeof cases)[number]["form"],
  content: string,
  inTheMiddle: () => Promise<void>,
): Promise<void> {
  const choice = { index: 0, finish_reason: "stop", message: { role: "assistant", content } };
  const text = JSON.stringify(
    form === "refused" ? { error: { message: content } } : { object: "chat.completion", choices: [choice] },
  );
  const body = Buffer.from(text);
  const half = body.length >> 1;
  if (form !== "chunked") response.setHeader("content-length", body.length);
  // The reason, too, may hold what it should not.
  if (form === "refused") response.writeHead(500, content.slice(0, 200));
  // Nothing goes on after the head of a refused one; Node would send head and first piece together.
  if (form === "refused") {
    await inTheMiddle();
    response.end(body);
    return;
  }
  for (let at = 0; at < half; at += 10_007) response.write(body.subarray(at, Math.min(half, at + 10_007)));
  await inTheMiddle();
  for (let at = half; at < body.length; at += 10_007) response.write(body.subarray(at, at + 10_007));
  response.end();
}

const unreadable = whyNotReadable();
const describeUnless = (reason: string | undefined) => (reason === undefined ? describe : describe.skip);
const named = (name: string, reason: string | undefined) =>
  reason === undefined ? name : `${name} (skipped: ${reason})`;

interface WatchedRouter {
  readonly url: string;
  readonly pem: string;
  readonly process: WatchedProcess;
}

/** No secret: it stands in the process's environment. A scan that does not find it has not looked. */
const beacon = textOf(40);
const isBeacon = ({ name }: Hit) => name.startsWith("beacon");

/** One key for all routers: to make one for each takes longest of all. */
let folder: string;
let keyFile: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nomyo-router-forensic-"));
  keyFile = join(folder, "key.pem");
  writeFileSync(keyFile, nodeKeyPair(4096).privatePem, { mode: 0o600 });
});
afterAll(() => rmSync(folder, { recursive: true }));

async function startRouter(args: readonly string[], circumstances: readonly string[] = []): Promise<WatchedRouter> {
  const command = join(__dirname, "../../dist/cli/main.js");
  const process = await WatchedProcess.start([command, "router", "--json", "--key-file", keyFile, ...args], {
    circumstances,
    env: { BEACON: beacon },
  });
  const [line] = await process.until(/^\{.*"listening".*\}$/m);
  const { url } = JSON.parse(line) as { url: string };
  return { url, pem: (await fetchRaw(`${url}/pki/public_key`)).body.toString(), process };
}

const patternsOf = (texts: Readonly<Record<string, string>>, patterns = textPatterns): Patterns =>
  Object.assign(
    { ...textPatterns("beacon", beacon) },
    ...Object.entries(texts).map(([name, text]) => patterns(name, text)),
  ) as Patterns;

async function search(
  router: WatchedRouter,
  texts: Readonly<Record<string, string>>,
  patterns = textPatterns,
): Promise<ProcessScan> {
  const scan = await scanProcess(router.process.pid, patternsOf(texts, patterns));
  expect(scan.hits.map(({ name }) => name)).toContain("beacon (UTF-8)");
  expect(scan.unreadable.filter(({ inPool, place }) => !inPool && !place.includes("[vvar"))).toEqual([]);
  return { ...scan, hits: scan.hits.filter((hit) => !isBeacon(hit)) };
}

/**
 * Ends the router: nothing is in its memory but the pool, which a dump does not have, nor in a register of any thread.
 */
async function searchDump(
  router: WatchedRouter,
  texts: Readonly<Record<string, string>>,
  patterns = textPatterns,
): Promise<void> {
  const { hits, registers } = await router.process.dump(patternsOf(texts, patterns));
  expect(hits.some(isBeacon)).toBe(true);
  expect(registers.general).toBeGreaterThan(4);
  expect(registers.vector).toBeGreaterThanOrEqual(registers.general);
  expect(hits.filter((hit) => !isBeacon(hit)).slice(0, 10)).toEqual([]);
}

const ask = (router: WatchedRouter, prompt: string) => {
  const request = JSON.stringify({ model: "forensic", messages: [{ role: "user", content: prompt }] });
  return postPackage({ url: router.url, publicKey: { pem: router.pem } }, client, nodeSeal(router.pem, request));
};

const poolBytesOf = ({ hits }: ProcessScan) =>
  hits.filter(({ inPool }) => inPool).reduce((bytes, hit) => bytes + hit.bytes, 0);

describeUnless(unreadable)(named("a router with its echo model", unreadable), () => {
  let router: WatchedRouter | undefined;
  afterEach(async () => {
    await router?.process.end();
    router = undefined;
  });

  test.each([1_000, 300_000, large])("leaves nothing of %d bytes, when it is done", async (bytes) => {
    router = await startRouter([]);
    const prompt = textOf(bytes);
    const raw = await ask(router, prompt);
    expect(nodeOpen(client.privatePem, raw.body).plaintext.includes(prompt)).toBe(true);
    const patterns = bytes === large ? samplePatterns : textPatterns;
    expect((await search(router, { prompt }, patterns)).hits.slice(0, 10)).toEqual([]);
    await searchDump(router, { prompt }, patterns);
  });

  test.each([1_000, 300_000])("has %d bytes in the pool alone, while an answer is held back", async (bytes) => {
    router = await startRouter(["--echo-delay", "600000"], withoutMemfdSecret);
    const prompt = textOf(bytes);
    const ended = ask(router, prompt).catch(() => undefined);
    // Until request and answer are both there, whatever the machine; nothing is elsewhere meanwhile.
    for (;;) {
      const scan = await search(router, { prompt });
      expect(outsidePool(scan).slice(0, 10)).toEqual([]);
      if (poolBytesOf(scan) >= 2 * bytes) break;
    }
    await searchDump(router, { prompt });
    await ended;
  });
});

describe.each([
  { memory: "the usual mechanism", circumstances: [], cases },
  // What differs is that the pool can be read: it shows that the search finds what is there.
  { memory: "mlock", circumstances: withoutMemfdSecret, cases: cases.filter(({ bytes }) => bytes === 1_000) },
])("$memory", ({ memory, circumstances, cases }) => {
  describeUnless(unreadable)(named("a router before an upstream", unreadable), () => {
    let upstream: Server;
    let router: WatchedRouter;
    const started: WatchedRouter[] = [];
    const startHere = async () => {
      const { port } = upstream.address() as AddressInfo;
      const one = await startRouter(["--upstream", `http://127.0.0.1:${port}`], circumstances);
      started.push(one);
      return one;
    };
    let prepare: (request: string, response: ServerResponse) => Promise<void>;
    beforeAll(async () => {
      upstream = createServer((request, response) => {
        void bytesOf(request).then((body) => prepare(body.toString("utf8"), response));
      });
      upstream.listen(0, "127.0.0.1");
      await once(upstream, "listening");
      router = await startHere();
    });
    afterAll(async () => {
      for (const { process } of started) await process.end();
      upstream.closeAllConnections();
      upstream.close();
    });

    const outside = (scan: ProcessScan) => outsidePool(scan).slice(0, 10);

    test.each(cases)("leaves nothing of $bytes bytes, $form, outside the pool", async ({ bytes, form }) => {
      const [prompt, answer] = [textOf(bytes), textOf(bytes)];
      let middle: ProcessScan | undefined;
      let failure: unknown;
      prepare = async (request, response) => {
        try {
          expect(request.includes(prompt)).toBe(true);
          await respond(response, form, answer, async () => {
            if (bytes < large) middle = await search(router, { prompt, answer });
          });
        } catch (error) {
          failure = error;
          response.destroy();
        }
      };
      const raw = await ask(router, prompt);
      expect(failure).toBeUndefined();
      // Every byte of the largest is looked for once; in pieces, samples of it.
      const sampled = bytes === large && form === "chunked";
      const after = await search(router, { prompt, answer }, sampled ? samplePatterns : textPatterns);
      expect(raw.status).toBe(form === "refused" ? 502 : 200);
      if (form !== "refused") expect(nodeOpen(client.privatePem, raw.body).plaintext.includes(answer)).toBe(true);
      expect(after.hits.slice(0, 10)).toEqual([]);
      if (middle === undefined) return;
      expect(outside(middle)).toEqual([]);
      // In readable memory the pool shows what the search finds in this very process when something is there.
      if (memory === "mlock") expect(middle.hits.map(({ name }) => name)).toContain("prompt (UTF-8)");
    });

    test.each(["whole", "chunked", "refused"] as const)(
      "has nothing in its core dump and its registers, in the middle of an answer (%s) and after one",
      async (form) => {
        for (const moment of ["middle", "after"]) {
          const one = await startHere();
          const [prompt, answer] = [textOf(300_000), textOf(300_000)];
          const failures: unknown[] = [];
          prepare = async (_request, response) => {
            // A router that is ended breaks this connection off.
            response.on("error", () => undefined);
            try {
              await respond(response, form, answer, async () => {
                if (moment === "middle") await searchDump(one, { prompt, answer });
              });
            } catch (error) {
              failures.push(error);
              response.destroy();
            }
          };
          const raw = await ask(one, prompt).catch(() => undefined);
          if (moment === "after") {
            expect(raw?.status).toBe(form === "refused" ? 502 : 200);
            await searchDump(one, { prompt, answer });
          }
          expect(failures).toEqual([]);
        }
      },
    );
  });
});
