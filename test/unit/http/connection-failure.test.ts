/** What is advised when there is no connection: never less safety, but on this machine. */
import { ConnectionFailure } from "../../../lib/http/transport.js";

const said = (reason: string, url: string): string => new ConnectionFailure(reason, "no", new URL(url)).message;

test("plain HTTP is advised on this machine only: whoever breaks TLS on the way must not talk people out of it", () => {
  expect(said("EPROTO", "https://localhost:8443")).toMatch(
    /^localhost:8443: .*\(EPROTO\)\. If so: http:\/\/ .*allowHttp/,
  );
  const elsewhere = said("EPROTO", "https://ward.example");
  expect(elsewhere).toMatch(/^ward\.example:443: .*\(EPROTO\)\. Check the port in `baseUrl`$/);
  expect(elsewhere).not.toMatch(/allowHttp|http:\/\//);
});

test("HTTPS is advised where plain HTTP was not understood, and not after an answer", () => {
  expect(said("ECONNRESET", "http://127.0.0.1:1")).toContain("https:// in `baseUrl`");
  expect(said("HPE_INVALID_CONSTANT", "http://127.0.0.1:1")).toContain("https:// in `baseUrl`");
  expect(said("ECONNRESET", "https://127.0.0.1:1")).not.toContain("`baseUrl`");
});

test("an unknown code gets no advice", () => {
  expect(said("EWHATEVER", "https://ward.example")).toBe("ward.example:443: The connection failed (EWHATEVER)");
});
