/**
 * A property of the client: whatever a server does, in whatever order, every promise settles when its deadline, its
 * signal or its client ends; `sent` is right; and nothing is left behind: no body, no lease, no memory of the pool, no
 * timer.
 *
 * Nothing here waits for time to pass: the scripted server tells when it stands still, and the clock is the test's own.
 *
 * 2 000 scripts with a fixed seed; NOMYO_PROPERTY_RUNS sets another number (100 000 is the long form),
 * NOMYO_PROPERTY_SEED another seed.
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";

import { SecureChatCompletion } from "../../../lib/client/secure-chat-completion.js";
import { NomyoError } from "../../../lib/errors.js";
import { native } from "../../../lib/native.js";
import type { ChatCompletion } from "../../../lib/chat/chat-types.js";
import { ChatCompletionStream } from "../../../lib/chat/chunks.js";
import { makeKeyPair } from "../../support/reference-server.js";
import type { KeyPair } from "../../support/reference-server.js";
import { rounds } from "../../support/rounds.js";
import { ScriptedServer } from "../../support/scripted-server.js";
import type { Step } from "../../support/scripted-server.js";

const runs = Number(process.env["NOMYO_PROPERTY_RUNS"] ?? rounds(2000));
const seed = Number(process.env["NOMYO_PROPERTY_SEED"] ?? 20_261_127);
const TIMEOUT_MS = 10_000;

let keyDir: string;
let serverKeys: KeyPair;

beforeAll(() => {
  // Small keys: what is tested here is order, not strength.
  serverKeys = makeKeyPair(2048);
  keyDir = mkdtempSync(join(tmpdir(), "every-order-"));
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  writeFileSync(join(keyDir, "private_key.pem"), privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
});
afterAll(() => {
  jest.useRealTimers();
  rmSync(keyDir, { recursive: true });
});

/** What the package has of native memory that somebody must give back. */
const counts = {
  keysLoaded: jest.spyOn(native, "importPrivateKey"),
  keysWiped: jest.spyOn(native, "privateKeyDispose"),
  opens: jest.spyOn(native, "open"),
  opensWiped: jest.spyOn(native, "openedDispose"),
};

const good: Step = { does: "answer", with: "good" };
const failure = fc.constantFrom<Step[]>(
  { does: "fail", code: "ECONNREFUSED", syscall: "connect" },
  { does: "fail", code: "EHOSTUNREACH", syscall: "connect" },
  { does: "fail", code: "EHOSTUNREACH", syscall: "read" },
  { does: "fail", code: "ECONNRESET", syscall: "read" },
  { does: "fail", code: "CERT_HAS_EXPIRED", syscall: "" },
  { does: "fail", code: "not a code", syscall: "write" },
);
const stall = fc.record({
  does: fc.constant("stall" as const),
  at: fc.constantFrom("headers" as const, "body" as const),
  heeds: fc.boolean(),
});
const status = fc.record({
  does: fc.constant("status" as const),
  status: fc.constantFrom(0, 101, 201, 204, 299, 304, 307, 400, 401, 403, 404, 418, 429, 500, 502, 503, 504, 600, 999),
  retryAfter: fc.constantFrom(undefined, "0", "1", "60", "61", "soon"),
});
const broken = fc.constantFrom<Step[]>({ does: "break", code: "UND_ERR_SOCKET" }, { does: "break", code: "EPIPE" });
const answer = fc.record({
  does: fc.constant("answer" as const),
  with: fc.constantFrom("good" as const, "other-id", "lower-tier", "no-choices", "tampered", "text"),
});
const step: fc.Arbitrary<Step> = fc.oneof(fc.constant(good), failure, stall, status, broken, answer);
const keyStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(good) },
  failure,
  stall,
  status,
  broken,
);

const script = fc.record({
  gets: fc.array(keyStep, { maxLength: 3 }),
  posts: fc.array(step, { maxLength: 6 }),
  callers: fc.array(
    fc.record({
      maxRetries: fc.integer({ min: 0, max: 2 }),
      tier: fc.constantFrom(undefined, "standard" as const, "high" as const),
      stream: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  /** What happens when the server stands still. */
  ends: fc.array(fc.constantFrom("deadline" as const, "signal" as const, "close" as const), {
    minLength: 1,
    maxLength: 3,
  }),
  cacheTtl: fc.constantFrom(0, 3_600_000),
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function run({ gets, posts, callers, ends, cacheTtl }: typeof script extends fc.Arbitrary<infer T> ? T : never) {
  for (const count of Object.values(counts)) count.mockClear();
  const server = new ScriptedServer(serverKeys, gets, posts);
  let waiting = 0;
  const client = new SecureChatCompletion({
    baseUrl: "https://scripted.example",
    fetch: server.fetch,
    keyDir,
    keyRotationInterval: 0,
    timeout: TIMEOUT_MS,
    attestation: "off",
    serverKey: { minBits: 2048, cacheTtl },
    logger: { debug: jest.fn(), info: jest.fn(), error: jest.fn(), warn: () => waiting++ },
  });
  const signal = new AbortController();
  let left = callers.length;
  const outcomes = callers.map(async ({ maxRetries, tier, stream }, caller) => {
    const request = { model: "m", messages: [{ role: "user" as const, content: `prompt ${caller}` }] };
    try {
      return await client.create(
        { ...request, stream, ...(tier === undefined ? {} : { security_tier: tier }) },
        { apiKey: `key-${caller}`, maxRetries, signal: signal.signal },
      );
    } catch (error) {
      return error;
    } finally {
      left--;
    }
  });
  let closing: Promise<void> | undefined;
  for (let ended = 0; left > 0;) {
    await turn();
    if (waiting > 0) {
      // Longer than any back-off that is waited for. Other callers' deadlines may end by it too.
      waiting = 0;
      jest.advanceTimersByTime(60_000);
    } else if (server.stalled > 0) {
      server.stalled = 0;
      const end = ends[ended++ % ends.length];
      if (end === "deadline") jest.advanceTimersByTime(TIMEOUT_MS);
      else if (end === "signal") signal.abort();
      else closing ??= client.close({ abort: true });
    }
  }
  const settled = await Promise.all(outcomes);
  await (closing ?? client.close());
  for (const resolve of server.late) resolve();
  await turn();
  await turn();

  settled.forEach((outcome, caller) => {
    const calls = server.calls.filter(({ apiKey }) => apiKey === `Bearer key-${caller}`);
    if (outcome instanceof Error) {
      expect(outcome).toBeInstanceOf(NomyoError);
      const answered = calls.some((call) => call.answered);
      const reached = calls.some((call) => !call.unsent);
      expect((outcome as { sent?: string }).sent).toBe(answered ? "yes" : reached ? "maybe" : "no");
      return;
    }
    const completion = outcome instanceof ChatCompletionStream ? outcome.completion : (outcome as ChatCompletion);
    if ("choices" in completion) expect(completion.choices[0]?.message.content).toBe(`prompt ${caller}`);
  });
  expect(new Set(settled.filter((outcome) => outcome instanceof Error)).size).toBe(
    settled.filter((outcome) => outcome instanceof Error).length,
  );
  expect(server.openBodies).toBe(0);
  expect(jest.getTimerCount()).toBe(0);
  // A key is wiped when the last lease of it has been given back.
  expect(counts.keysWiped.mock.calls).toHaveLength(counts.keysLoaded.mock.calls.length);
  const answers = await Promise.allSettled(counts.opens.mock.results.map(({ value }) => value as Promise<unknown>));
  expect(counts.opensWiped).toHaveBeenCalledTimes(answers.filter((one) => one.status === "fulfilled").length);
}

test(
  `every promise settles, sent is right, nothing is left (${runs} scripts, seed ${seed})`,
  async () => {
    await fc.assert(fc.asyncProperty(script, run), { numRuns: runs, seed });
  },
  // A hanging promise is found by this limit, whatever the machine; it decides nothing else.
  600_000 + runs * 500,
);
