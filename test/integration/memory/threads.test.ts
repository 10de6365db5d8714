/**
 * How many threads of its own the package has: chosen by a client, the router, a function or the command line, once for
 * the process; and that all work is done with one.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { makeKeyFolder } from "../../support/key-folder.js";
import { copyPackage } from "../../support/package-copy.js";
import { routerKeyFile } from "../../support/router-key.js";
import { unprivileged } from "../../support/subject.js";

const cli = join(__dirname, "../../../dist/cli/main.js");
const copy = copyPackage();
const dist = copy.path("dist");

jest.setTimeout(240_000); // on a busy machine

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], env: Record<string, string> = {}, before: readonly string[] = []): Ended {
  const [command, ...rest] = [...before, copy.node, ...args];
  const ended = spawnSync(command!, rest, {
    cwd: "/",
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 200_000,
  });
  return { code: ended.status, out: ended.stdout, err: ended.stderr };
}

/**
 * Runs code, the body of an async function, with the package as `nomyo`, and returns what it `print`s. Errors are
 * printed as `{ name, option, message }`.
 */
function inPackage(code: string, env: Record<string, string> = {}, before: readonly string[] = []): unknown {
  const script = `
    const nomyo = require(${JSON.stringify(join(dist, "index.js"))});
    const { startRouter } = require(${JSON.stringify(join(dist, "router/index.js"))});
    const { startProxy } = require(${JSON.stringify(join(dist, "proxy/index.js"))});
    const { native } = require(${JSON.stringify(join(dist, "native.js"))});
    const { Worker } = require("node:worker_threads");
    const print = (value) => process.stdout.write(JSON.stringify(value));
    const attempt = async (work) => {
      try { return await work(); } catch ({ name, option, message }) { return { name, option, message }; }
    };
    const client = (threads) => new nomyo.SecureCompletionClient({ apiKey: null, threads });
    // All are asked for before the first can be done.
    const jobs = (count) =>
      Promise.all(Array.from({ length: count }, () => native.generatePrivateKey(2048, "required")));
    const threads = () => nomyo.getMemoryProtectionInfo().threads;
    void (async () => { ${code} })().then(() => process.exit(0));`;
  const ended = run(["-e", script], env, before);
  if (ended.out === "") throw new Error(`ended with ${ended.code ?? "nothing"}: ${ended.err}`);
  return JSON.parse(ended.out);
}

/** Eight requests at once through a router in the same process, and eight other jobs: all share the threads. */
const eightRequests = (threads: number, keyFile: string, keyDir: string) => `
  const router = await startRouter({ keyFile: ${JSON.stringify(keyFile)}, threads: ${threads} });
  const chat = new nomyo.SecureChatCompletion({
    baseUrl: router.url, allowHttp: true, threads: ${threads},
    keyDir: ${JSON.stringify(keyDir)}, keyRotationInterval: 0,
  });
  const body = (n) => ({ model: "m", messages: [{ role: "user", content: "number " + n }] });
  const [answers] = await Promise.all([
    Promise.all(Array.from({ length: 8 }, (_, n) => chat.create(body(n)))),
    jobs(8),
  ]);
  print({
    right: answers.filter((answer, n) => answer.choices[0].message.content.includes("number " + n)).length,
    threads: threads(),
  });
  await chat.close();
  await router.close();`;

const routerKey = routerKeyFile();
const clientKeys = makeKeyFolder();
afterAll(() => {
  copy.remove();
  routerKey.remove();
  clientKeys.remove();
});

test.each([1, 2])("%i: eight requests at once are answered, by no more threads", (limit) => {
  expect(inPackage(eightRequests(limit, routerKey.path, clientKeys.path))).toEqual({
    right: 8,
    threads: { started: limit, limit, limitChosen: true, queued: expect.any(Number), running: expect.any(Number) },
  });
});

test("without a choice there are no more than the cores that the process may use", () => {
  if (process.platform !== "linux") return;
  const code = `
    await jobs(3);
    print(threads());`;
  const [, cpu] = /Cpus_allowed_list:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))!;
  expect(inPackage(code, {}, ["taskset", "-c", cpu!])).toMatchObject({ started: 1, limit: 1, limitChosen: false });
});

describe("one number for the process", () => {
  const other = { name: "ConfigurationError", option: "threads" };

  test("the same again is nothing new; another is refused: of a client, the router, the proxy, the function", () => {
    const result = inPackage(`
      nomyo.setThreadLimit(2);
      client(2);
      const refused = [
        await attempt(() => client(1)),
        await attempt(() => startRouter({ threads: 3 })),
        await attempt(() => startProxy({ client: { apiKey: null, threads: 4 } })),
        await attempt(() => nomyo.setThreadLimit(5)),
        await attempt(() => nomyo.setThreadLimit(0)),
      ];
      client(undefined);
      print({ refused, threads: threads() });`);
    const said = (number: number): object => ({
      ...other,
      message: expect.stringContaining(`chosen before, 2, and cannot keep to ${number} as well`),
    });
    expect(result).toEqual({
      refused: [said(1), said(3), said(4), said(5), { ...other, message: expect.stringContaining("from 1 to 64") }],
      threads: { started: 0, limit: 2, limitChosen: true, queued: 0, running: 0 },
    });
  });

  test("a worker thread's client has those of the process", () => {
    const result = inPackage(`
      client(1);
      const inWorker = (threads) => new Promise((resolve, reject) => {
        const code = "const { parentPort, workerData } = require('node:worker_threads');" +
          "const nomyo = require(workerData.path);" +
          "try {" +
          "  new nomyo.SecureCompletionClient({ apiKey: null, threads: workerData.threads });" +
          "  const { native } = require(workerData.native);" +
          "  const tell = () => parentPort.postMessage(nomyo.getMemoryProtectionInfo().threads);" +
          "  native.generatePrivateKey(2048, 'required').then(tell);" +
          "} catch ({ name, option, message }) { parentPort.postMessage({ name, option, message }); }";
        const folder = ${JSON.stringify(dist)};
        const workerData = { path: folder + "/index.js", native: folder + "/native.js", threads };
        new Worker(code, { eval: true, workerData }).once("message", resolve).once("error", reject);
      });
      print([await inWorker(2), await inWorker(1), threads()]);`) as object[];
    expect(result[0]).toMatchObject({ ...other, message: expect.stringContaining("cannot keep to 2 as well") });
    expect(result[1]).toMatchObject({ started: 1, limit: 1, limitChosen: true });
    expect(result[2]).toMatchObject({ started: 1, limit: 1, limitChosen: true });
  });

  test("after threads have started, fewer are refused, and more come at once", () => {
    const result = inPackage(`
      client(undefined);
      await jobs(1);
      const four = await attempt(() => client(4));
      await jobs(4);
      print({ four: four.name ?? "a client", threads: threads() });`);
    expect(result).toMatchObject({ four: "a client", threads: { started: 4, limit: 4 } });
    const refused = inPackage(
      `client(undefined);
       await jobs(2);
       print({ refused: await attempt(() => client(1)), threads: threads() });`,
    ) as { refused: object; threads: { started: number } };
    // On one core one thread is what there is, and one may be chosen.
    if (refused.threads.started === 1) expect(refused.threads).toMatchObject({ limit: 1, limitChosen: true });
    else {
      expect(refused.refused).toEqual({
        ...other,
        message: expect.stringMatching(/^`threads`: \d+ threads run already, .* keep to 1\./),
      });
      expect(refused.threads).toMatchObject({ limitChosen: false });
    }
  });
});

test("a construction or a start that fails for want of locked memory chooses nothing", () => {
  const code = `
    const refused = await attempt(() => client(5));
    const router = await attempt(() => startRouter({ threads: 5 }));
    print({ refused, router, threads: threads() });`;
  const limit = 64 * 1024;
  if (process.platform !== "linux") return;
  expect(inPackage(code, {}, unprivileged(limit))).toMatchObject({
    refused: { name: "MemoryProtectionError" },
    router: { name: "MemoryProtectionError" },
    threads: { limitChosen: false },
  });
});

test("stacks of a chosen number leave half of the lock limit to keys and answers", () => {
  if (process.platform !== "linux") return;
  const code = `
    nomyo.setThreadLimit(64);
    await jobs(64);
    const buffer = native.bufferAlloc(1 << 20, "required");
    print({ started: threads().started, locked: native.bufferLocked(buffer) });`;
  expect(inPackage(code, {}, unprivileged(4 << 20))).toEqual({ started: 16, locked: true });
});

describe("the command line", () => {
  test("help needs none of the variables", () => {
    for (const name of ["chat", "router", "proxy", "doctor"]) {
      const { code, out } = run([cli, name, "--help"], { NOMYO_THREADS: "abc", NOMYO_MEMORY_MECHANISM: "abc" });
      expect([name, code, out.includes("Usage: nomyo-native " + name)]).toEqual([name, 0, true]);
    }
  });

  test("NOMYO_THREADS is for all commands; the library never reads it", () => {
    const { out } = run([cli, "doctor", "--json"], { NOMYO_THREADS: "3" });
    const { facts, findings } = JSON.parse(out) as { facts: { memory: object }; findings: Record<string, string>[] };
    expect(facts.memory).toMatchObject({ threads: { limit: 3, limitChosen: true } });
    expect(findings.find(({ name }) => name === "Threads")?.["found"]).toMatch(/^up to 3 .*; as was chosen$/);
    expect(inPackage("print(threads());", { NOMYO_THREADS: "3" })).toMatchObject({ limitChosen: false });
  });

  test.each(["0", "65", "two", "1.5", "-1", " 2"])("%j for NOMYO_THREADS is a wrong argument", (value) => {
    const { code, err } = run([cli, "doctor"], { NOMYO_THREADS: value });
    expect(err).toBe("nomyo-native: `NOMYO_THREADS` must be a whole number from 1 to 64.\n");
    expect(code).toBe(2);
  });

  test.each(["router", "proxy"])("%s --threads: checked, and not against the variable", (name) => {
    const tooMany = run([cli, name, "--threads", "65"], { NOMYO_API_KEY: "" });
    expect(tooMany).toMatchObject({
      code: 2,
      err: expect.stringContaining("--threads must be a whole number from 1 to 64"),
    });
    expect(run([cli, name, "--threads", "some"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("--threads takes"),
    });
    const both = run([cli, name, "--threads", "2"], { NOMYO_THREADS: "1", NOMYO_API_KEY: "k" });
    expect(both).toMatchObject({
      code: 2,
      err: expect.stringMatching(
        /--threads.*chosen before, 1, and cannot keep to 2 as well.* The first choice was `NOMYO_THREADS`\.\n$/,
      ),
    });
  });
});
