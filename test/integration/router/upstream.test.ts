import * as http from "node:http";
import type { AddressInfo } from "node:net";
import { asLockable } from "../../support/lockable.js";
import { startRouter } from "../../../lib/router/index.js";
import type { Router, RouterOptions } from "../../../lib/router/index.js";
import { chat, detailOf, postPackage } from "../../support/node-client.js";
import { nodeKeyPair, nodeSeal } from "../../support/node-package.js";
import { routerKeyFile } from "../../support/router-key.js";

const client = nodeKeyPair(2048);
const keyFile = routerKeyFile();
afterAll(() => keyFile.remove());
const request = { model: "m", messages: [{ role: "user", content: "QUOKKA 🌍" }] };
const completion = {
  id: "x",
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }],
};

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

interface Pair {
  answer: (response: http.ServerResponse, seen: Seen) => void;
  seen: Seen[];
  readonly router: Router;
  readonly close: () => Promise<void>;
}

async function startPair(options: Partial<NonNullable<RouterOptions["upstream"]>>, path: string): Promise<Pair> {
  const server = http.createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("end", () => {
      const { method, url, headers } = incoming;
      const one = { method, url, headers, body: Buffer.concat(chunks).toString() };
      pair.seen.push(one);
      pair.answer(response, one);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const router = await startRouter({
    upstream: { url: `http://127.0.0.1:${port}${path}`, ...options },
    keyFile: keyFile.path,
    stopTimeoutMs: 0,
  });
  const close = async () => {
    await router.close();
    server.closeAllConnections();
    server.close();
  };
  const pair: Pair = { answer: () => undefined, seen: [], router, close };
  return pair;
}

let shared: Pair | undefined;
afterAll(async () => await shared?.close());

/**
 * An OpenAI-compatible server that does what the test says, and a router before it: one pair for all tests that need no
 * options.
 */
async function withUpstream(
  answer: Pair["answer"],
  use: (router: Router, seen: Seen[]) => Promise<void>,
  options: Partial<NonNullable<RouterOptions["upstream"]>> = {},
  path = "",
): Promise<void> {
  const plain = Object.keys(options).length === 0 && path === "";
  const pair = plain ? (shared ??= await startPair({}, "")) : await startPair(options, path);
  pair.answer = answer;
  pair.seen = [];
  try {
    await use(pair.router, pair.seen);
  } finally {
    if (!plain) await pair.close();
  }
}

const json = (value: unknown) => (response: http.ServerResponse) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value));
};

describe("what the upstream gets", () => {
  test("the request's own bytes, with the router's key and none of the client's headers", async () => {
    await withUpstream(
      json(completion),
      async (router, seen) => {
        const text =
          `{ "model":"m", "messages":[{"role":"user","content":"QUOKKA \\ud83c\\udf0d 🌍"}], ` +
          `"temperature":0.10, "unknown":{"a":[1e5]} }`;
        const sealed = nodeSeal(router.publicKey.pem, text);
        expect((await postPackage(router, client, sealed, { "x-other": "1" })).status).toBe(200);
        expect(seen).toHaveLength(1);
        expect(seen[0]).toMatchObject({ method: "POST", url: "/v1/chat/completions", body: text });
        expect(seen[0]!.headers).toMatchObject({
          "content-type": "application/json",
          "content-length": String(Buffer.byteLength(text)),
          authorization: "Bearer upstream-secret",
          "accept-encoding": "identity",
        });
        expect(Object.keys(seen[0]!.headers).filter((name) => name.startsWith("x-"))).toEqual([]);
      },
      { apiKey: "upstream-secret" },
    );
  });

  test.each(["/v1", "/v1/", "/v1/chat/completions", "", "/"])("its URL may end in %j", async (path) => {
    await withUpstream(
      json(completion),
      async (router, seen) => {
        await chat(router, client, request);
        expect(seen[0]!.url).toBe("/v1/chat/completions");
      },
      {},
      path,
    );
  });

  test("never a stream", async () => {
    await withUpstream(json(completion), async (router, seen) => {
      for (const more of [
        { stream: true, stream_options: { include_usage: true } },
        { stream: true },
        { stream: false },
      ]) {
        await chat(router, client, { ...more, ...request, seed: 7 });
        await chat(router, client, { ...request, seed: 7, ...more });
      }
      expect(seen).toHaveLength(6);
      for (const { body } of seen) expect(JSON.parse(body)).toEqual({ ...request, seed: 7 });
    });
  });
});

describe("what the client gets", () => {
  test("the upstream's answer as it was, with the router's _metadata in place of its own", async () => {
    const value = { ...completion, _metadata: { payload_id: "forged" }, extra: "🌍", big: [1, 2, { three: null }] };
    await withUpstream(json(value), async (router) => {
      const { answer } = await chat(router, client, request);
      const { _metadata, ...rest } = answer;
      const { _metadata: _forged, ...original } = value;
      expect(rest).toEqual(original);
      expect(_metadata["payload_id"]).not.toBe("forged");
    });
  });

  const megabytes = asLockable(64 << 20, 20, 2);
  test(`an answer of ${megabytes} MB, in chunks`, async () => {
    const content = "ü".repeat(megabytes * 500_000);
    await withUpstream(
      (response) => {
        const text = Buffer.from(JSON.stringify({ ...completion, content }));
        for (let at = 0; at < text.length; at += 1_000_000) response.write(text.subarray(at, at + 1_000_000));
        response.end();
      },
      async (router) => {
        const { answer } = await chat(router, client, request);
        expect(answer["content"]).toBe(content);
      },
    );
  });
});

describe("an upstream that fails", () => {
  const secret = "the error text repeats QUOKKA";
  const fail =
    (status: number, headers: http.OutgoingHttpHeaders = {}) =>
    (response: http.ServerResponse) => {
      response.writeHead(status, headers);
      response.end(JSON.stringify({ error: { message: secret } }));
    };

  test.each([
    [400, 400],
    [404, 400],
    [413, 400],
    [422, 400],
    [401, 502],
    [403, 502],
    [408, 504],
    [429, 429],
    [500, 502],
    [502, 502],
    [503, 503],
    [504, 504],
    [201, 502],
    [302, 502],
  ])("status %i becomes %i, and its text stays here", async (theirs, ours) => {
    await withUpstream(fail(theirs, { location: "http://127.0.0.1:1/", "retry-after": "7" }), async (router, seen) => {
      const answer = await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)));
      expect(answer.status).toBe(ours);
      expect(answer.body.toString()).not.toContain("QUOKKA");
      expect(answer.headers["retry-after"]).toBe(ours === 429 || ours === 503 ? "7" : undefined);
      expect(seen).toHaveLength(1);
    });
  });

  test.each([
    ["no JSON", "hello"],
    ["an array", "[]"],
    ["broken JSON", '{"choices":[}'],
    ["a name twice", '{"choices":[],"choices":[]}'],
    ["nothing", ""],
    ["an event stream", 'data: {"choices":[]}\n\ndata: [DONE]\n\n'],
    ["bytes that are not UTF-8", Buffer.from([0x7b, 0x22, 0x61, 0x22, 0x3a, 0x22, 0xff, 0x22, 0x7d])],
  ])("an answer that is %s becomes 502", async (_what, body) => {
    await withUpstream(
      (response) => response.end(body),
      async (router) => {
        const answer = await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)));
        expect(answer.status).toBe(502);
        expect(detailOf(answer)).toMatch(/did not answer with a JSON object/);
      },
    );
  });

  test("an answer that breaks off becomes 502", async () => {
    await withUpstream(
      (response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write('{"choices":');
        setTimeout(() => response.destroy(), 20);
      },
      async (router) => {
        const answer = await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)));
        expect(answer.status).toBe(502);
      },
    );
  });

  test("no answer in time becomes 504, and the upstream's connection is closed", async () => {
    let closed: Promise<void> | undefined;
    await withUpstream(
      (response) => {
        closed = new Promise((resolve) => response.on("close", resolve));
      },
      async (router) => {
        const answer = await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)));
        expect(answer.status).toBe(504);
        await closed;
      },
      { timeoutMs: 100 },
    );
  });

  test("nothing at its address becomes 502", async () => {
    const router = await startRouter({ upstream: { url: "http://127.0.0.1:9" }, keyFile: keyFile.path });
    try {
      const answer = await postPackage(router, client, nodeSeal(router.publicKey.pem, JSON.stringify(request)));
      expect(answer.status).toBe(502);
      expect(detailOf(answer)).toBe("The connection to the model's server failed.");
    } finally {
      await router.close();
    }
  });

  test("a client that goes away ends the upstream's work", async () => {
    let arrived: (() => void) | undefined;
    let gone: (() => void) | undefined;
    const arrives = new Promise<void>((resolve) => (arrived = resolve));
    const goes = new Promise<void>((resolve) => (gone = resolve));
    await withUpstream(
      (response) => {
        arrived?.();
        response.on("close", () => gone?.());
      },
      async (router) => {
        const body = nodeSeal(router.publicKey.pem, JSON.stringify(request));
        const post = http.request(`${router.url}/v1/chat/secure_completion`, {
          method: "POST",
          headers: {
            "content-type": "application/octet-stream",
            "x-payload-id": "an-id",
            "x-public-key": encodeURIComponent(client.publicPem),
          },
        });
        post.on("error", () => undefined);
        post.end(body);
        await arrives;
        post.destroy();
        await goes;
        expect((await fetch(`${router.url}/healthz`)).status).toBe(200);
      },
    );
  });
});
