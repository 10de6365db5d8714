/** A socket that listens before the proxy is there, handed down as systemd does (sd_listen_fds(3)). */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPackage, root } from "../../support/built-package.js";
import { vectorKeyDir } from "../../support/test-clients.js";

/** Makes a socket, of the family and kind of its arguments, as descriptor 3, and becomes the command. */
const HAND_DOWN = `
import os, socket, sys
family, kind, place, pid = sys.argv[1:5]
made = socket.socket(getattr(socket, family), getattr(socket, kind))
os.umask(0o111 if place.endswith("open.sock") else 0o177)
made.bind(place.replace("@", "\\0") if family == "AF_UNIX" else (place, 0))
if kind == "SOCK_STREAM":
    made.listen(16)
if place.endswith("gone.sock"):
    os.unlink(place)
os.dup2(made.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=pid or str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[5], sys.argv[5:])
`;
const folder = mkdtempSync(join(tmpdir(), "nomyo-handed-"));
const keyDir = vectorKeyDir();
beforeAll(() => buildPackage(), 300_000);
afterAll(() => {
  for (const made of [folder, keyDir]) rmSync(made, { recursive: true });
});

interface Started {
  readonly baseUrl: Promise<string>;
  /** Exit code and stderr. */
  readonly ended: Promise<[number | null, string]>;
  stop(): void;
}
function start(family: string, place: string, { kind = "SOCK_STREAM", pid = "" } = {}): Started {
  const command = [process.execPath, join(root, "dist", "cli", "main.js")];
  const args = ["proxy", "--systemd-socket", "--json", "--key-dir", keyDir];
  const child = spawn("python3", ["-c", HAND_DOWN, family, kind, place, pid, ...command, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NOMYO_API_KEY: "k" },
  });
  let stderr = "";
  child.stderr.on("data", (part: Buffer) => (stderr += part.toString()));
  const ended = new Promise<[number | null, string]>((resolve) =>
    child.once("close", (code) => resolve([code, stderr])),
  );
  const baseUrl = new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (line: Buffer) =>
      resolve((JSON.parse(line.toString()) as { base_url: string }).base_url),
    );
    void ended.then(([code]) => reject(new Error(`the proxy ended with ${code}: ${stderr}`)));
  });
  baseUrl.catch(() => undefined);
  return {
    baseUrl,
    ended,
    stop: () => child.kill("SIGTERM"),
  };
}
const statusOf = (how: object): Promise<number> =>
  new Promise((resolve, reject) => {
    const asked = request({ ...how, path: "/healthz", headers: { host: "localhost" }, agent: false }, (response) => {
      response.resume();
      response.once("end", () => resolve(response.statusCode!));
    });
    asked.once("error", reject).end();
  });

test("a Unix socket: it is served, and stays when the proxy stops", async () => {
  const path = join(folder, "proxy.sock");
  const proxy = start("AF_UNIX", path);
  expect(await proxy.baseUrl).toBe(`unix:${path}`);
  expect(await statusOf({ socketPath: path })).toBe(200);
  proxy.stop();
  expect((await proxy.ended)[0]).toBe(0);
  expect(existsSync(path)).toBe(true);
});

test("a loopback address", async () => {
  const proxy = start("AF_INET", "127.0.0.1");
  const url = new URL(await proxy.baseUrl);
  expect(url.href).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/v1$/);
  expect(await statusOf({ host: url.hostname, port: url.port })).toBe(200);
  proxy.stop();
  expect((await proxy.ended)[0]).toBe(0);
});

test.each<[string, Parameters<typeof start>, RegExp]>([
  ["an address that others can reach, without local keys", ["AF_INET", "0.0.0.0"], /--local-keys-file|--allow-open/],
  ["an abstract socket, which everyone can connect to", ["AF_UNIX", "@nomyo-test"], /neither a TCP address nor/],
  ["a file that everyone can connect to", ["AF_UNIX", join(folder, "open.sock")], /SocketMode=0600.*--allow-open/],
  ["no socket to listen on", ["AF_INET", "127.0.0.1", { kind: "SOCK_DGRAM" }], /no socket to listen on/],
  ["a socket for another process", ["AF_INET", "127.0.0.1", { pid: "1" }], /LISTEN_PID is not this process/],
])("%s is refused, with exit code 2", async (_what, args, said) => {
  expect(await start(...args).ended).toEqual([2, expect.stringMatching(said)]);
});

test("a Unix socket whose file is gone: said, and what to do", async () => {
  const path = join(folder, "gone.sock");
  const [code, stderr] = await start("AF_UNIX", path).ended;
  expect(stderr).toContain(`made at ${path}, which cannot be looked at (ENOENT: there is no such file or folder)`);
  expect(stderr).toContain("must make it again");
  expect(code).toBe(2);
});
