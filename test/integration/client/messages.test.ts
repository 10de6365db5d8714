/** What a person reads when something is wrong: what was expected, what was found, and what to change. */
import { createServer } from "node:http";
import type { RequestListener, Server as HttpServer } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { createSecureFetch } from "../../../lib/openai/secure-fetch.js";
import type { ClientOptions } from "../../../lib/client/options.js";
import { startRouter } from "../../../lib/router/index.js";
import { makeCertificates } from "../../support/certificates.js";
import type { Certificates } from "../../support/certificates.js";
import { runCommand } from "../../support/command-line.js";
import { routerKeyFile } from "../../support/router-key.js";
import { TestClients } from "../../support/test-clients.js";

const clients = new TestClients();
const keyFile = routerKeyFile();
let certificates: Certificates;
const ends: (() => Promise<unknown>)[] = [];
beforeAll(() => {
  certificates = makeCertificates();
});
afterEach(async () => {
  await clients.close();
  for (const end of ends.splice(0)) await end();
});
afterAll(() => {
  clients.removeKeys();
  keyFile.remove();
  certificates.remove();
});

/** The port of a server that is closed after the test. */
async function portOf(server: HttpServer | https.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  ends.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}
const page: RequestListener = (asked, answer) => {
  answer.writeHead(asked.url === "/missing/pki/public_key" ? 404 : 200, { "Content-Type": "text/html; charset=utf-8" });
  answer.end("<!doctype html><title>A shop</title>");
};
const request = { model: "m", messages: [{ role: "user" as const, content: "hi" }] };

interface Told {
  /** Of the library. */
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string;
  readonly sent: string;
  /** Of the command line, and its exit code. */
  readonly stderr: string;
  readonly exit: number;
}
/** The same mistake made in code and at the command line. */
async function told(baseUrl: string, options: ClientOptions = {}, flags: readonly string[] = []): Promise<Told> {
  const client = clients.make({ baseUrl, maxRetries: 0, ...options });
  const error = await client.create(request).then(
    () => undefined,
    (reason: unknown) => reason as Error & { code: string; sent: string },
  );
  if (error === undefined) throw new Error("the request was answered");
  const args = ["chat", "--base-url", baseUrl, "--allow-http", "--retries", "0", "--key-dir", clients.keyDir];
  const { code, stderr } = await runCommand([...args, ...flags, "hi"]);
  // No word of the API at the command line.
  expect(stderr).not.toMatch(/`|baseUrl|allowHttp|apiKey|errorDetails/);
  return { message: error.message, stack: error.stack, code: error.code, sent: error.sent, stderr, exit: code };
}

describe("no API key", () => {
  test("the hosted service is not even asked", async () => {
    const fetch = jest.fn();
    const client = clients.make({ fetch, allowHttp: false });
    await expect(client.create(request)).rejects.toMatchObject({
      code: "CONFIGURATION",
      option: "apiKey",
      sent: "no",
      message: expect.stringMatching(/^No API key was given.*`apiKey`.*NOMYO_API_KEY/),
    });
    await expect(client.attest()).rejects.toMatchObject({ option: "apiKey" });
    expect(fetch).not.toHaveBeenCalled();
    const { code, stderr } = await runCommand(["chat", "--key-dir", clients.keyDir, "hi"]);
    expect(stderr).toMatch(/^nomyo-native: No API key was given.*--api-key-file.*NOMYO_API_KEY/);
    expect(code).toBe(2);
  });

  test("an SDK's own key, and the word that none is wanted, are enough", async () => {
    const fetch = jest.fn(() => Promise.reject(new TypeError("fetch failed")));
    const client = clients.make({ fetch, allowHttp: false, apiKey: null, maxRetries: 0 });
    await expect(client.create(request)).rejects.toMatchObject({ code: "CONNECTION" });
    expect(fetch).toHaveBeenCalledTimes(1);
    const secureFetch = clients.add(createSecureFetch({ fetch, keyDir: clients.keyDir }));
    const body = JSON.stringify(request);
    const url = "https://api.nomyo.ai/v1/chat/completions";
    const headers = { authorization: "Bearer k" };
    await expect(secureFetch(url, { method: "POST", body, headers })).rejects.toThrow("fetch failed");
    const refused = await secureFetch(url, { method: "POST", body });
    expect(refused.status).toBe(400);
    expect(await refused.text()).toContain("No API key was given");
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  test("a server that wants one: that none was given, and not that it was refused", async () => {
    const router = await startRouter({ keyFile: keyFile.path, apiKeys: ["clinic-a-0123456789abcdef"] });
    ends.push(() => router.close());
    const { message, stack, stderr, exit } = await told(router.url);
    expect(stack).toContain(message);
    expect(message).toMatch(/^401: No API key was given.*`apiKey`.*NOMYO_API_KEY/);
    expect(stderr).toMatch(/No API key was given.*--api-key-file.*NOMYO_API_KEY/);
    expect(exit).toBe(4);
    const wrong = clients.make({ baseUrl: router.url, apiKey: "another-0123456789abcdef" });
    await expect(wrong.create(request)).rejects.toThrow("The server did not accept the API key");
  });
});

test("nobody listens: host, port, and what to look at", async () => {
  const server = createServer();
  const port = await portOf(server);
  await new Promise((resolve) => server.close(resolve));
  ends.pop();
  const { message, code, sent, stderr, exit } = await told(`http://127.0.0.1:${port}`);
  expect({ code, sent, exit }).toEqual({ code: "CONNECTION", sent: "no", exit: 5 });
  expect(message).toMatch(new RegExp(`^127\\.0\\.0\\.1:${port}: .*refused.*\\(ECONNREFUSED\\)\\. .*\`baseUrl\`.*\\.$`));
  expect(stderr).toMatch(new RegExp(`127\\.0\\.0\\.1:${port}: .*ECONNREFUSED.*--base-url`));
});

test("a name that there is not: the name, and where it stands", async () => {
  // A label too long for DNS: nothing is asked of the network.
  const host = `${"a".repeat(64)}.example`;
  const { message, stderr } = await told(`https://${host}`);
  expect(message).toMatch(new RegExp(`^${host}:443: The host name .*\`baseUrl\``));
  expect(stderr).toContain("--base-url");
});

test("TLS at a port of plain HTTP, and the other way round", async () => {
  const plain = await portOf(createServer(page));
  const tls = await told(`https://127.0.0.1:${plain}`);
  expect(tls.message).toMatch(/plain HTTP at this port.*http:\/\/ in `baseUrl`, and `allowHttp: true`/);
  expect(tls.stderr).toMatch(/plain HTTP at this port.*http:\/\/ in --base-url, and --allow-http, since it is on/);
  const secure = await portOf(https.createServer(certificates.server, page));
  const http = await told(`http://127.0.0.1:${secure}`);
  expect(http.message).toMatch(/speaks HTTPS at this port: then https:\/\/ in `baseUrl`/);
  expect(http.sent).toBe("no");
  // Others answer such a client, in HTTP, with 400.
  const polite = await portOf(
    createServer((_asked, answer) => {
      answer.writeHead(400, { "Content-Type": "text/plain" });
      answer.end("Client sent an HTTP request to an HTTPS server.");
    }),
  );
  const answered = await told(`http://127.0.0.1:${polite}`);
  expect(answered.message).toMatch(/^400: 127\.0\.0\.1:\d+ .*speaks HTTPS at this port/);
  expect(answered.stderr).toMatch(/Check --base-url\. The server said: Client sent/);
});

test("a certificate that is not trusted: how one's own authority is named", async () => {
  const port = await portOf(https.createServer(certificates.server, page));
  const { message } = await told(`https://127.0.0.1:${port}`);
  expect(message).toMatch(/not trusted \([A-Z_]+\)\. .*NODE_EXTRA_CA_CERTS/);
});

test.each([
  ["that has every page", "", 3, /answered with a web page where a NOMYO server has its public key/],
  ["without this page", "/missing", 4, /^404: A website answers at this address, and no NOMYO server/],
])("a website %s", async (_what, path, expected, found) => {
  const port = await portOf(createServer(page));
  const { message, sent, stderr, exit } = await told(`http://127.0.0.1:${port}${path}`);
  expect(message).toMatch(found);
  expect(message).toContain("`baseUrl`");
  expect({ sent, exit }).toEqual({ sent: "no", exit: expected });
  expect(stderr).toContain("--base-url");
  expect(stderr).not.toContain("<");
});

test("what is not spelt right: what there is, and the nearest", () => {
  const made = (options: object) => () => clients.make(options);
  expect(made({ attestation: "required" })).toThrow(
    '`attestation` must be an object, which is a policy, or one of "off", "report" and "require". Did you mean ' +
      '"require"?',
  );
  expect(made({ attestation: { policy: "requires" as never, engine: { tcti: "x" } } })).toThrow(
    'Did you mean "require"?',
  );
  expect(made({ attestation: { version: 1, profile: [] } })).toThrow('unknown key "profile", perhaps for "profiles"');
  expect(made({ baseURL: "https://x" })).toThrow(/^There is no option `baseURL`\. Did you mean `baseUrl`\? Known: /);
  expect(made({ serverKey: { fingerprint: "x" } })).toThrow("Did you mean `fingerprints`?");
  expect(made({ padding: "buckets" })).toThrow('must be one of: none, bucket. Did you mean "bucket"?');
  expect(made({ secureMemory: "require" })).toThrow('Did you mean "required"?');
});

test("a request that was ended: by whom", async () => {
  const never = () => new Promise<never>(() => undefined);
  const client = clients.make({ fetch: never, apiKey: "k", allowHttp: false, baseUrl: "https://ward.example" });
  const ended = new AbortController();
  const own = client.create(request, { signal: ended.signal });
  ended.abort();
  await expect(own).rejects.toThrow("The request was ended by its `signal`.");
  const closed = client.create(request);
  const outcome = expect(closed).rejects.toThrow("The request was ended by `close({ abort: true })`");
  await client.close({ abort: true });
  await outcome;
});
