/** An OpenAI-compatible server with a made-up model, for the local router to stand before. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface TestServer {
  readonly url: string;
  stop(): Promise<void>;
}

/** `answer` gives the content of the answer to an opened request, given as JSON text. */
export const startModel = (answer: (request: string) => string | Promise<string>): Promise<TestServer> =>
  startServer(async (request) => {
    const content = await answer((await bytesOf(request)).toString("utf8"));
    const choice = { index: 0, finish_reason: "stop", message: { role: "assistant", content } };
    const completion = { id: "test", object: "chat.completion", created: 0, model: "test", choices: [choice] };
    return { status: 200, body: JSON.stringify(completion) };
  });

/** A plain HTTP server on a port of the system's choice. An error breaks the connection. */
export async function startServer(
  answer: (request: IncomingMessage) => Promise<{ readonly status: number; readonly body: string }>,
): Promise<TestServer> {
  const server = createServer((request, response) => {
    answer(request).then(
      ({ status, body }) => response.writeHead(status).end(body),
      () => response.destroy(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

export async function bytesOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
