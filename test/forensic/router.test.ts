/**
 * The proof that a router before an upstream leaves nothing of prompts and answers in memory which is not the pool's: it is stopped while an
 * answer is half there, and after the answer, and everything that root can read of it is searched for every fragment of 12 bytes.
 *
 * Upstream and client run in the test's own process, so none of their memory is the router's.
 */
import { once } from "node:events";
import { randomBytes } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { startLocalRouter, type LocalRouter } from "../support/local-router.js";
import { outsidePool, scanProcess, whyNotReadable, type Patterns, type ProcessScan } from "../support/memory-scan.js";
import { bytesOf } from "../support/model-server.js";
import { fetchRaw, postPackage } from "../support/node-client.js";
import { nodeKeyPair, nodeOpen, nodeSeal } from "../support/node-package.js";
import { withoutMemfdSecret } from "../support/subject.js";

// Some seconds for each scan of a 9 MB answer on an idle machine.
jest.setTimeout(240_000);

const client = nodeKeyPair(2048);
/** Characters that JSON and base64url leave alone, so that the text is the same bytes wherever it stands. */
const textOf = (bytes: number) =>
  randomBytes(Math.ceil(bytes * 0.75))
    .toString("base64url")
    .slice(0, bytes);

const cases = [
  { bytes: 1_000, form: "whole" },
  { bytes: 1_000, form: "chunked" },
  { bytes: 300_000, form: "whole" },
  { bytes: 300_000, form: "chunked" },
  { bytes: 9_000_000, form: "whole" },
  { bytes: 9_000_000, form: "chunked" },
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

describe.each([
  { memory: "the usual mechanism", circumstances: [], cases },
  // What differs is that the pool can be read: it shows that the search finds what is there.
  { memory: "mlock", circumstances: withoutMemfdSecret, cases: cases.filter(({ bytes }) => bytes === 1_000) },
])("$memory", ({ memory, circumstances, cases }) => {
  describeUnless(unreadable)(named("a router before an upstream", unreadable), () => {
    /** No secret: it stands in the process's environment. A scan that does not find it has not looked. */
    const beacon = textOf(40);
    let upstream: Server;
    let router: LocalRouter;
    let pem: string;
    let prepare: (request: string, response: ServerResponse) => Promise<void>;
    beforeAll(async () => {
      upstream = createServer((request, response) => {
        void bytesOf(request).then((body) => prepare(body.toString("utf8"), response));
      });
      upstream.listen(0, "127.0.0.1");
      await once(upstream, "listening");
      const { port } = upstream.address() as AddressInfo;
      router = await startLocalRouter({ upstream: `http://127.0.0.1:${port}`, circumstances, env: { BEACON: beacon } });
      pem = (await fetchRaw(`${router.url}/pki/public_key`)).body.toString();
    });
    afterAll(async () => {
      await router.stop();
      upstream.closeAllConnections();
      upstream.close();
    });

    async function search(texts: Readonly<Record<string, string>>): Promise<ProcessScan> {
      const patterns = Object.entries({ ...texts, beacon }).map(([name, text]) => [
        name,
        [{ bytes: Buffer.from(text), fragment: 12 }],
      ]);
      const scan = await scanProcess(router.pid, Object.fromEntries(patterns) as Patterns);
      expect(scan.hits.map(({ name }) => name)).toContain("beacon");
      expect(scan.unreadable.filter(({ inPool, place }) => !inPool && !place.includes("[vvar"))).toEqual([]);
      return { ...scan, hits: scan.hits.filter(({ name }) => name !== "beacon") };
    }

    test.each(cases)("leaves nothing of $bytes bytes, $form, outside the pool", async ({ bytes, form }) => {
      const [prompt, answer] = [textOf(bytes), textOf(bytes)];
      let middle: ProcessScan | undefined;
      let failure: unknown;
      prepare = async (request, response) => {
        try {
          expect(request.includes(prompt)).toBe(true);
          await respond(response, form, answer, async () => {
            if (bytes < 9_000_000) middle = await search({ prompt, answer });
          });
        } catch (error) {
          failure = error;
          response.destroy();
        }
      };
      const request = JSON.stringify({ model: "forensic", messages: [{ role: "user", content: prompt }] });
      const raw = await postPackage({ url: router.url, publicKey: { pem } }, client, nodeSeal(pem, request));
      expect(failure).toBeUndefined();
      const after = await search({ prompt, answer });
      expect(raw.status).toBe(form === "refused" ? 502 : 200);
      if (form !== "refused") expect(nodeOpen(client.privatePem, raw.body).plaintext.includes(answer)).toBe(true);
      expect(after.hits.slice(0, 10)).toEqual([]);
      if (middle === undefined) return;
      expect(outsidePool(middle).slice(0, 10)).toEqual([]);
      // In readable memory the pool shows what the search finds in this very process when something is there.
      if (memory === "mlock") expect(middle.hits.map(({ name }) => name)).toContain("prompt");
    });
  });
});
