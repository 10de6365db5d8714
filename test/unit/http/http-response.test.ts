import { MAX_HEAD_BYTES, ResponseFormatError, ResponseReader } from "../../../lib/http/http-response.js";
import type { ResponseHead } from "../../../lib/http/http-response.js";

interface Read {
  readonly head: ResponseHead | undefined;
  readonly body: string;
  readonly complete: boolean;
}

/** Gives the response to a reader in pieces of `step` bytes. */
function read(text: string, step: number): Read {
  let head: ResponseHead | undefined;
  let body = "";
  const reader = new ResponseReader(new Uint8Array(MAX_HEAD_BYTES), {
    head: (it) => {
      expect(head).toBeUndefined();
      head = it;
    },
    body: (bytes) => (body += Buffer.from(bytes).toString("latin1")),
  });
  const bytes = Buffer.from(text, "latin1");
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
  return { head, body, complete: reader.complete };
}

const steps = [1, 2, 3, 7, 64, 100_000];
const plain = { status: 200, contentLength: undefined, encoded: false, retryAfter: undefined };

test("chunks of one byte come as one piece for each read, out of the read's own memory", () => {
  const pieces: { readonly text: string; readonly memory: ArrayBufferLike }[] = [];
  const reader = new ResponseReader(new Uint8Array(MAX_HEAD_BYTES), {
    head: () => undefined,
    body: (bytes) => pieces.push({ text: Buffer.from(bytes).toString("latin1"), memory: bytes.buffer }),
  });
  const chunks = (text: string) => Array.from(text, (char) => `1\r\n${char}\r\n`).join("");
  const first = Uint8Array.from(
    Buffer.from(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks("abcd")}3\r\nef`),
  );
  const second = Uint8Array.from(Buffer.from(`g\r\n${chunks("hijk")}0\r\n\r\n`));
  expect(reader.push(first)).toBe(first.length);
  expect(reader.push(second)).toBe(second.length);
  expect(reader.complete).toBe(true);
  expect(pieces).toEqual([
    { text: "abcdef", memory: first.buffer },
    { text: "ghijk", memory: second.buffer },
  ]);
  expect(pieces.map(({ memory }) => memory === first.buffer || memory === second.buffer)).toEqual([true, true]);
});

describe("a response is read, in pieces of every size", () => {
  test.each<[string, string, ResponseHead, string]>([
    [
      "with a length",
      "HTTP/1.1 200 OK\r\nContent-Type: x\r\nContent-Length: 5\r\n\r\nhello",
      { ...plain, contentLength: 5 },
      "hello",
    ],
    ["with no body", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", { ...plain, contentLength: 0 }, ""],
    [
      "without a reason, in HTTP/1.0",
      "HTTP/1.0 200\r\ncontent-length:\t5 \r\n\r\nhello",
      { ...plain, contentLength: 5 },
      "hello",
    ],
    [
      "in chunks",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
      plain,
      "hello0123456789",
    ],
    [
      "in chunks, with trailers",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000001\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n",
      plain,
      "x",
    ],
    [
      "after interim ones",
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 " +
        "OK\r\nContent-Length: 1\r\n\r\nx",
      { ...plain, contentLength: 1 },
      "x",
    ],
    [
      "with what is looked at",
      "HTTP/1.1 429 No\r\nRETRY-AFTER: 17\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx",
      { status: 429, contentLength: 1, encoded: true, retryAfter: 17 },
      "x",
    ],
    [
      "with a date to come back at",
      "HTTP/1.1 503 No\r\nRetry-After: Fri, 31 Dec 1999 23:59:59 GMT\r\nContent-Encoding: " +
        "identity\r\nContent-Length: 1\r\n\r\nx",
      { ...plain, status: 503, contentLength: 1 },
      "x",
    ],
  ])("%s", (_what, text, head, body) => {
    // What follows the response is not part of it.
    for (const behind of ["", "HTTP/1.1 500 garbage"]) {
      for (const step of steps) expect(read(text + behind, step)).toEqual({ head, body, complete: true });
    }
    // Not a byte before its end is it complete.
    for (let end = 0; end < text.length; end += 1) expect(read(text.slice(0, end), 64).complete).toBe(false);
  });

  test("switching protocols is a response: the caller refuses it", () => {
    let status = 0;
    const reader = new ResponseReader(new Uint8Array(MAX_HEAD_BYTES), {
      head: (head) => {
        status = head.status;
        throw new Error("refused");
      },
      body: () => undefined,
    });
    const bytes = Buffer.from("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
    expect(() => reader.push(bytes)).toThrow("refused");
    expect(status).toBe(101);
  });
});

describe("what is not well-formed is refused, in pieces of every size", () => {
  const ok = "HTTP/1.1 200 OK\r\n";
  const chunked = `${ok}Transfer-Encoding: chunked\r\n\r\n`;
  test.each([
    ["another protocol", "SSH-2.0-hello\r\n\r\n"],
    ["another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
    ["a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"],
    ["a status of four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"],
    ["a status below 100", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"],
    ["an end of line without CR", "HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n"],
    ["a CR inside a line", `${ok}A: b\rContent-Length: 1\r\nContent-Length: 0\r\n\r\n`],
    ["a NUL", `${ok}A: \0\r\nContent-Length: 0\r\n\r\n`],
    ["a folded header", `${ok}A: b\r\n c: d\r\nContent-Length: 0\r\n\r\n`],
    ["a space before the colon", `${ok}Content-Length : 0\r\n\r\n`],
    ["a header without a name", `${ok}: x\r\nContent-Length: 0\r\n\r\n`],
    ["a header without a colon", `${ok}hello\r\nContent-Length: 0\r\n\r\n`],
    ["two lengths", `${ok}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx`],
    ["a list of lengths", `${ok}Content-Length: 1, 1\r\n\r\nx`],
    ["a signed length", `${ok}Content-Length: +1\r\n\r\nx`],
    ["an empty length", `${ok}Content-Length:\r\n\r\n`],
    ["a length of twenty digits", `${ok}Content-Length: 10000000000000000001\r\n\r\nx`],
    ["length and chunks", `${ok}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
    ["another transfer encoding", `${ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`],
    ["chunks in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
    ["neither length nor chunks", `${ok}\r\nhello`],
    ["a chunk without a size", `${chunked}\r\nx`],
    ["a chunk of no number", `${chunked}xyz\r\nx`],
    ["a chunk of a negative size", `${chunked}-1\r\nx`],
    ["a chunk of nine digits", `${chunked}100000000\r\nx`],
    ["a chunk that is longer than it says", `${chunked}1\r\nxy\r\n0\r\n\r\n`],
    ["endless extensions", `${chunked}1;${"x".repeat(300)}\r\nx\r\n0\r\n\r\n`],
    ["endless headers", ok + "A: b\r\n".repeat(4_000)],
    ["an endless header", `${ok}A: ${"b".repeat(20_000)}`],
    ["endless interim responses", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000)],
    ["endless trailers", `${chunked}0\r\n${"A: b\r\n".repeat(4_000)}`],
  ])("%s", (_what, text) => {
    for (const step of steps) expect(() => read(text, step)).toThrow(ResponseFormatError);
  });
});
