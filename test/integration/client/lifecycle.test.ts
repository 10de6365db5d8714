/** Life and end of clients, in processes of their own where the process is what is looked at. */
import { createRequire } from "node:module";

import { SecureChatCompletion } from "../../../lib/client/secure-chat-completion.js";
import { native } from "../../../lib/native.js";
import { buildPackage, runModule } from "../../support/built-package.js";
import { ReferenceServer } from "../../support/reference-server.js";
import settledPool from "../../support/settled-pool.cjs";
import { TestClients } from "../../support/test-clients.js";

const request = { model: "m", messages: [{ role: "user" as const, content: "x" }] };
const clients = new TestClients();
let server: ReferenceServer;
jest.setTimeout(240_000);

beforeAll(buildPackage, 300_000);
beforeEach(async () => {
  server = await ReferenceServer.start();
});
afterEach(async () => {
  await clients.close();
  await server.stop();
});
afterAll(() => clients.removeKeys());

const connect = (): string => `
  import { SecureChatCompletion } from "nomyo-native";
  const keyDir = ${JSON.stringify(clients.keyDir)};
  const baseUrl = ${JSON.stringify(server.url)};
  const client = new SecureChatCompletion({ baseUrl, allowHttp: true, keyDir, keyRotationInterval: 3_600_000 });
  const request = { model: "m", messages: [{ role: "user", content: "x" }] };
`;

describe("close", () => {
  it("waits for requests in flight, takes no new ones, and may be called again", async () => {
    let release: (() => void) | undefined;
    server.onPost = (body, incoming, response) => {
      release = () => void server.reply(body, incoming, response);
    };
    const client = clients.make({ baseUrl: server.url });
    const pending = client.create(request);
    while (release === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    let closed = false;
    const closing = client.close().then(() => (closed = true));
    await expect(client.create(request)).rejects.toMatchObject({ option: "close", sent: "no" });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(closed).toBe(false);
    release();
    await expect(pending).resolves.toBeDefined();
    await closing;
    await client.close();
    await expect(client.ready()).rejects.toMatchObject({ option: "close" });
  });

  it("aborts requests in flight when asked to", async () => {
    server.onPost = () => undefined;
    const client = clients.make({ baseUrl: server.url });
    const pending = client.create(request);
    while (server.log.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const [outcome] = await Promise.allSettled([pending, client.close({ abort: true })]);
    expect(outcome).toMatchObject({ status: "rejected", reason: { name: "APIUserAbortError", sent: "maybe" } });
  });

  it("happens at the end of `await using`, closes the connections and wipes the key", async () => {
    // Without the stacks of the package's threads, and when nothing is under way.
    const inUse = async () => (await settledPool(() => native.memoryInfo())).bytesInUse;
    let during: number;
    {
      await using client = new SecureChatCompletion({ baseUrl: server.url, allowHttp: true, keyDir: clients.keyDir });
      // Several at once, so that each thread has what it keeps.
      await Promise.all(Array.from({ length: 16 }, () => client.create(request)));
      during = await inUse();
    }
    // A private key of 4096 bits with its factors takes over 2 KiB; a public key that waits for the collector takes
    // less.
    expect(during - (await inUse())).toBeGreaterThan(2000);
    // The server hears of it when its loop comes to it; a connection that stays open ends in the test's time-out.
    const open = (): Promise<number> =>
      new Promise((resolve) => server.server.getConnections((_error, count) => resolve(count)));
    while ((await open()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("of a client whose key is still being made: its key is wiped when it is there", async () => {
    const client = new SecureChatCompletion({ baseUrl: server.url, allowHttp: true });
    await client.close();
    await expect(client.create(request)).rejects.toMatchObject({ option: "close" });
  });
});

describe("a process", () => {
  it("ends by itself when a client was made and not closed, before and after requests", async () => {
    const idle = await runModule(`${connect()} await client.ready();`);
    expect(idle).toMatchObject({ code: 0, stdout: "", stderr: "" });
    const used = await runModule(
      `${connect()} const a = await client.create(request); console.log(a.choices[0].message.content);`,
    );
    expect(used).toMatchObject({ code: 0, stdout: "x\n", stderr: "" });
    // Kept-alive connections and the rotation timer (24 hours) did not hold it: it has ended.
  });

  it("may exit in the middle of everything", async () => {
    for (const when of ["", "await client.ready();", "client.create(request); await client.ready();"]) {
      const ended = await runModule(`${connect()} ${when} process.exit(7);`);
      expect(ended).toMatchObject({ code: 7, stderr: "" });
    }
  });

  it("is not told of a failure that was handled, and is told once of one that was not", async () => {
    const count = `let n = 0; process.on("unhandledRejection", (e) => { n++; console.log(e.name); });`;
    const handled = await runModule(`${connect()} ${count}
      await client.create({}).catch(() => {});
      await client.create({}).withResponse().catch(() => {});
      const c = new AbortController(); c.abort();
      await client.create(request, { signal: c.signal }).catch(() => {});
      await new Promise((r) => setTimeout(r, 100)); console.log(n);`);
    expect(handled).toMatchObject({ code: 0, stdout: "0\n", stderr: "" });
    const unhandled = await runModule(`${connect()} ${count}
      client.create({}); await new Promise((r) => setTimeout(r, 100)); console.log(n);`);
    expect(unhandled.stdout).toBe("ConfigurationError\n1\n");
  });

  it("prints nothing for many requests that share one signal", async () => {
    const ended = await runModule(`${connect()}
      const { signal } = new AbortController();
      await Promise.all(Array.from({ length: 30 }, () => client.create(request, { signal })));`);
    expect(ended).toMatchObject({ code: 0, stdout: "", stderr: "" });
  });

  it("has the SDK's own time-out class", async () => {
    server.onPost = () => undefined;
    const ended = await runModule(`
      import OpenAI from "openai";
      import { createSecureFetch } from "nomyo-native";
      const fetch = createSecureFetch({
        baseUrl: ${JSON.stringify(server.url)}, allowHttp: true,
        keyDir: ${JSON.stringify(clients.keyDir)}, keyRotationInterval: 0,
      });
      await fetch.ready();
      const baseURL = ${JSON.stringify(`${server.url}/v1`)};
      const sdk = new OpenAI({ baseURL, apiKey: "k", fetch, maxRetries: 0, timeout: 300 });
      const error = await sdk.chat.completions.create({ model: "m", messages: [] }).catch((e) => e);
      console.log(error instanceof OpenAI.APIConnectionTimeoutError);
      await fetch.close({ abort: true });`);
    expect(ended).toMatchObject({ code: 0, stdout: "true\n", stderr: "" });
  });
});

describe("import and require", () => {
  it("give the same objects under the same names", async () => {
    const ended = await runModule(`
      import * as imported from "nomyo-native";
      import { createRequire } from "node:module";
      const required = createRequire(import.meta.url)("nomyo-native");
      const nodes = ["default", "__esModule", "module.exports"];
      const names = Object.keys(imported).filter((name) => !nodes.includes(name)).sort();
      const same = names.every((name) => imported[name] === required[name]);
      const own = Object.keys(required).filter((name) => name !== "__esModule").sort();
      console.log(JSON.stringify({ names, same, required: own }));`);
    expect(ended.stderr).toBe("");
    const { names, same, required } = JSON.parse(ended.stdout);
    expect(same).toBe(true);
    expect(names).toEqual(required);
    const own = createRequire(__filename)("../../../lib/index.ts") as object;
    expect(names).toEqual(Object.keys(own).sort());
  });

  it("leave a process free to end while a client's key is still being made", async () => {
    // The generation must still be running when the process ends: it takes hundreds of milliseconds, ending some.
    const ended = await runModule(`
      import { SecureChatCompletion } from "nomyo-native";
      import { createRequire } from "node:module";
      const { native } = createRequire(process.cwd() + "/")("./dist/native.js");
      new SecureChatCompletion({ apiKey: null });
      process.on("exit", () => {
        const { running, queued } = native.memoryInfo().threads;
        console.log(running + queued);
      });`);
    expect(ended).toMatchObject({ code: 0, stdout: "1\n", stderr: "" });
  });

  it("hold a process as long as somebody waits for that key", async () => {
    const ended = await runModule(`
      import { SecureChatCompletion } from "nomyo-native";
      new SecureChatCompletion({ apiKey: null }).ready().then(() => console.log("ready"));`);
    expect(ended).toMatchObject({ code: 0, stdout: "ready\n", stderr: "" });
  });

  it("are quick, and the constructor sends and waits for nothing", async () => {
    const ended = await runModule(`${connect()} console.log("made"); process.exit(0);`);
    expect(ended).toMatchObject({ code: 0, stdout: "made\n" });
    expect(server.log).toEqual([]);
  });
});
