import { resolveProxyOptions } from "../../../lib/proxy/options.js";
import type { ProxyOptions } from "../../../lib/proxy/options.js";

const client = { apiKey: null } as const;

test("defaults: loopback, a port of the system's choice, everyone who reaches it, 10 MiB", () => {
  const settings = resolveProxyOptions({ client });
  expect(settings).toMatchObject({
    place: { host: "127.0.0.1", port: 0 },
    models: [],
    maxBodyBytes: 10_485_760,
    maxRequests: 64,
    maxRequestsPerKey: 64,
    maxConnections: 512,
    stopTimeoutMs: 30_000,
  });
  expect([...settings.access.hosts]).toEqual(["localhost", "127.0.0.1", "::1"]);
  expect(settings.access.apiKeys.open).toBe(true);
  expect(settings.client.attestation.mode).toBe("report");
});

test("the address that it listens on is a name of its own, and so are those that it is told", () => {
  const { access } = resolveProxyOptions({
    client,
    host: "proxy.internal",
    apiKeys: ["0123456789abcdef"],
    allowPlainHttp: true,
    allowedHosts: ["Other.Internal", "[fd00::1]"],
  });
  expect([...access.hosts]).toEqual(["localhost", "127.0.0.1", "::1", "proxy.internal", "other.internal", "fd00::1"]);
});

test("any address is no name", () => {
  const { access } = resolveProxyOptions({ client, host: "0.0.0.0", allowOpen: true, allowPlainHttp: true });
  expect([...access.hosts]).toEqual(["localhost", "127.0.0.1", "::1"]);
});

test("with several local keys one of them has half of the requests", () => {
  const apiKeys = ["0123456789abcdef", "fedcba9876543210"];
  expect(resolveProxyOptions({ client, apiKeys, maxRequests: 9 }).maxRequestsPerKey).toBe(5);
});

test.each<[string, ProxyOptions, string]>([
  ["an unknown option", { hots: "127.0.0.1" } as ProxyOptions, "hots"],
  ["an unknown option of the client", { client: { apikey: "x" } as never }, "apikey"],
  ["a reachable address without keys", { host: "0.0.0.0" }, "apiKeys"],
  ["a reachable address without TLS", { host: "::", allowOpen: true }, "tls"],
  ["a name that may resolve to anything", { host: "localhost.example" }, "apiKeys"],
  ["two places", { socketPath: "/run/x.sock", port: 1 }, "socketPath"],
  ["two places, one handed down", { listenFd: 3, port: 1 }, "listenFd"],
  ["two sockets", { listenFd: 3, socketPath: "/run/x.sock" }, "socketPath"],
  ["no descriptor", { listenFd: -1 }, "listenFd"],
  ["a relative socket", { socketPath: "x.sock" }, "socketPath"],
  ["a socket with a name that the system does not take", { socketPath: `/${"x".repeat(100)}` }, "socketPath"],
  ["TLS over a Unix socket", { socketPath: "/run/x.sock", tls: { cert: "x", key: "x" } }, "tls"],
  ["a host with a port", { allowedHosts: ["a:1"] }, "allowedHosts"],
  ["any host", { allowedHosts: ["*"] }, "allowedHosts"],
  ["a host that is a URL", { allowedHosts: ["http://a"] }, "allowedHosts"],
  ["any origin", { allowedOrigins: ["*"] }, "allowedOrigins"],
  ["the origin of a file", { allowedOrigins: ["null"] }, "allowedOrigins"],
  ["an origin with a path", { allowedOrigins: ["http://a/b"] }, "allowedOrigins"],
  ["a short local key", { apiKeys: ["short"] }, "apiKeys"],
  ["a model without a name", { models: [""] }, "models"],
  ["an unknown tier", { securityTier: "low" as never }, "securityTier"],
  ["a body over what the protocol has", { maxBodyBytes: 10_485_761 }, "maxBodyBytes"],
  ["more for a key than for all", { maxRequests: 2, maxRequestsPerKey: 3 }, "maxRequestsPerKey"],
])("%s is refused, by its name", (_name, options, option) => {
  expect(() => resolveProxyOptions({ client, ...options })).toThrow(expect.objectContaining({ option }));
});
