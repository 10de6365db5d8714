import { RequestFormatError, RequestReader } from "../../../lib/http/http-request.js";
import type { RequestHead } from "../../../lib/http/http-request.js";
import { MAX_HEAD_BYTES } from "../../../lib/http/message-reader.js";

interface Read {
  readonly head: RequestHead | undefined;
  readonly body: string;
  readonly complete: boolean;
  /** Bytes that were not the request's. */
  readonly left: number;
}

/** Gives the request to a reader in pieces of `step` bytes. */
function read(text: string, step: number): Read {
  let head: RequestHead | undefined;
  let body = "";
  const reader = new RequestReader(new Uint8Array(MAX_HEAD_BYTES), ["host", "x-seen"], {
    head: (it) => {
      expect(head).toBeUndefined();
      head = it;
    },
    body: (bytes) => (body += Buffer.from(bytes).toString("latin1")),
  });
  const bytes = Buffer.from(text, "latin1");
  let used = 0;
  for (let at = 0; at < bytes.length && !reader.complete; at += step) {
    used += reader.push(bytes.subarray(at, at + step));
  }
  return { head, body, complete: reader.complete, left: bytes.length - used };
}

const steps = [1, 2, 3, 7, 64, 100_000];
const get = (more = "", line = "GET /a HTTP/1.1"): string => `${line}\r\nHost: h\r\n${more}\r\n`;

describe("a request is read, in pieces of every size", () => {
  test.each<[string, string, Partial<RequestHead>, string, number]>([
    ["without a body", get(), { method: "GET", path: "/a", contentLength: undefined, chunked: false, minor: 1 }, "", 0],
    ["without its query", get("", "GET /a?b=c HTTP/1.0"), { path: "/a", minor: 0 }, "", 0],
    ["with a length", get("content-length: 5\r\n") + "helloGET", { contentLength: 5, chunked: false }, "hello", 3],
    ["with an empty body", get("Content-Length: 0\r\n"), { contentLength: 0 }, "", 0],
    [
      "in chunks",
      get("Transfer-Encoding: Chunked\r\n") + "5;x\r\nhello\r\n0\r\nA: b\r\n\r\nX",
      { contentLength: undefined, chunked: true },
      "hello",
      1,
    ],
    ["after one empty line", `\r\n${get()}`, { method: "GET" }, "", 0],
    ["with any method", get("", "FROB /a HTTP/1.1"), { method: "FROB" }, "", 0],
  ])("%s", (_name, text, head, body, left) => {
    for (const step of steps) {
      const it = read(text, step);
      expect({ ...it, head: undefined, left: undefined }).toEqual({ complete: true, body });
      expect(it.head).toMatchObject(head);
      if (step > text.length) expect(it.left).toBe(left);
    }
  });

  test("of its headers those that were asked for become strings, by their lower-case name", () => {
    const { head } = read(get("X-Seen:  a b\t\r\nAuthorization: secret\r\nX-Seen2: c\r\n"), 5);
    expect([...head!.headers]).toEqual([
      ["host", "h"],
      ["x-seen", "a b"],
    ]);
  });
});

describe("what is not well-formed is refused", () => {
  test.each<[string, string, number]>([
    ["two empty lines before", `\r\n\r\n${get()}`, 400],
    ["no version", get("", "GET /a"), 400],
    ["a version in small letters", get("", "GET /a http/1.1"), 400],
    ["another version", get("", "GET /a HTTP/2.0"), 505],
    ["a longer version", get("", "GET /a HTTP/1.10"), 400],
    ["no address", get("", "GET  HTTP/1.1"), 400],
    ["a space in the address", get("", "GET /a b HTTP/1.1"), 400],
    ["a control character in the address", get("", "GET /a\x01 HTTP/1.1"), 400],
    ["a byte above ASCII in the address", get("", "GET /\xe4 HTTP/1.1"), 400],
    ["an address without end", get("", `GET /${"a".repeat(2100)} HTTP/1.1`), 414],
    ["a method that is no token", get("", "G@T /a HTTP/1.1"), 400],
    ["a method without end", get("", `${"A".repeat(40)} /a HTTP/1.1`), 400],
    ["a header that was asked for, twice", get("X-Seen: a\r\nx-seen: a\r\n"), 400],
    ["a byte above ASCII in a header that was asked for", get("X-Seen: \xe4\r\n"), 400],
    ["a control character in a header", get("X: a\x07b\r\n"), 400],
    ["a DEL in a header", get("X: a\x7f\r\n"), 400],
    ["a NUL in a header", get("X: a\0\r\n"), 400],
    ["a folded header", get("X: a\r\n b\r\n"), 400],
    ["a space before the colon", get("X : a\r\n"), 400],
    ["bare line feeds", get().replaceAll("\r\n", "\n"), 400],
    ["a bare carriage return", get("X: a\rb\r\n"), 400],
    ["length and chunks", get("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400],
    ["chunks and length", get("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), 400],
    ["the same length twice", get("Content-Length: 1\r\nContent-Length: 1\r\n"), 400],
    ["a hexadecimal length", get("Content-Length: 0x1\r\n"), 400],
    ["two transfer encodings", get("Transfer-Encoding: gzip, chunked\r\n"), 400],
    ["chunks in HTTP/1.0", get("Transfer-Encoding: chunked\r\n", "GET /a HTTP/1.0"), 400],
    ["headers without end", get("X: y\r\n".repeat(4000)), 431],
    ["a header without end", get(`X: ${"y".repeat(MAX_HEAD_BYTES)}`), 431],
    ["trailers without end", get("Transfer-Encoding: chunked\r\n") + `0\r\n${"X: y\r\n".repeat(4000)}`, 431],
  ])("%s", (_name, text, status) => {
    for (const step of steps) {
      let thrown: unknown;
      try {
        read(text, step);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(RequestFormatError);
      expect((thrown as RequestFormatError).status).toBe(status);
    }
  });
});
