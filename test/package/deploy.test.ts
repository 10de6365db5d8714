/**
 * deploy/: the units' commands run as an account that is not root, from credentials as systemd gives them; and what
 * checks the rest can be. Manifests: kubernetes.test.ts.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPackage, root } from "../support/built-package.js";

const units = join(root, "deploy/systemd");
const read = (name: string): string => readFileSync(join(units, name), "utf8");
const settings = (name: string, key: string): string[] =>
  [
    ...read(name)
      .replace(/\\\n\s*/g, "")
      .matchAll(new RegExp(`^${key}=(.*)$`, "gm")),
  ].map((match) => match[1]!);

test.each([
  ["router.md", ["nomyo-router.service"]],
  ["proxy.md", ["nomyo-proxy.socket", "nomyo-proxy.service"]],
])("docs/%s shows these very units", (page, names) => {
  const shown = [...readFileSync(join(root, "docs", page), "utf8").matchAll(/```ini\n([^]*?)```/g)].map(
    ([, text]) => text,
  );
  expect(shown).toEqual(names.map(read));
});

const has = (command: string) => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0;

(has("systemd-analyze") ? test : test.skip)("systemd-analyze finds nothing wrong with them", () => {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-unit-"));
  const verify = (change: (text: string) => string): { status: number | null; said: string[] } => {
    const copies = readdirSync(units).map((name) => {
      // The one thing that this machine need not have is Node at that place.
      writeFileSync(join(folder, name), change(read(name).replace("/usr/bin/node", "/bin/true")));
      return join(folder, name);
    });
    const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", ...copies], {
      encoding: "utf8",
    });
    return { status, said: (stdout + stderr).split("\n").filter((line) => line.includes("nomyo-")) };
  };
  try {
    expect(verify((text) => text)).toEqual({ status: 0, said: [] });
    // It does look at each of them.
    const { said } = verify((text) => text.replace(/^(Socket|Limit)(MEMLOCK|Mode)=.*$/m, "$1$2=much"));
    for (const name of readdirSync(units)) expect(said).toContainEqual(expect.stringContaining(name));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** A file of root's with mode 0400 and an access list that lets one more account read it, as systemd makes it. */
const GRANT = `
import os, struct, sys
uid = int(sys.argv[1])
for path in sys.argv[2:]:
    os.chmod(path, 0o400)
    nobody = 0xffffffff
    entries = [(0x01, 4, nobody), (0x02, 4, uid), (0x04, 0, nobody), (0x10, 4, nobody), (0x20, 0, nobody)]
    packed = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + packed)
`;

/** Makes what a socket unit says, as descriptor 3, and becomes the command: sd_listen_fds(3). */
const HAND_DOWN = `
import os, socket, sys
made = socket.socket(socket.AF_UNIX)
os.umask(0o777 & ~int(sys.argv[2], 8))
made.bind(sys.argv[1])
made.listen(16)
os.dup2(made.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp(sys.argv[3], sys.argv[3:])
`;

const run = (command: string, ...args: string[]): void => {
  const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${stderr}`);
};

/**
 * A service's command under another account, with root's credentials, from the folder where its unit has it installed.
 */
async function starts(
  name: string,
  writeCredentials: (at: (credential: string) => string) => void,
  change: (command: string) => string,
  handedDown: (folder: string) => string[] = () => [],
): Promise<void> {
  buildPackage();
  const folder = mkdtempSync("/dev/shm/nomyo-unit-");
  try {
    chmodSync(folder, 0o755);
    const installed = join(folder, "node_modules/nomyo-native");
    for (const part of ["package.json", "dist", "build/Release/nomyo_native.node"])
      cpSync(join(root, part), join(installed, part), { recursive: true });
    const node = join(folder, "node");
    cpSync(process.execPath, node, { dereference: true });
    const credentials = join(folder, "credentials");
    mkdirSync(credentials, { mode: 0o755 });
    const at = (credential: string) => join(credentials, credential);
    writeCredentials(at);
    const names = settings(name, "LoadCredential").map((line) => line.split(":")[0]!);
    expect(names.sort()).toEqual(readdirSync(credentials).sort());
    run("python3", "-c", GRANT, "65534", ...names.map(at));

    const args = change(settings(name, "ExecStart")[0]!)
      .replaceAll("${CREDENTIALS_DIRECTORY}", credentials)
      .replace("/usr/bin/node", node)
      .replace(/\/opt\/[\w-]+/, folder)
      .split(/ +/);
    const account = ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all"];
    const [command, ...all] = [...handedDown(folder), "setpriv", ...account, ...args];
    const service = spawn(command!, [...all, "--json", "--secure-memory", "preferred"], {
      cwd: "/",
      env: { PATH: "/usr/bin:/bin", CREDENTIALS_DIRECTORY: credentials },
    });
    let said = "";
    service.stderr.on("data", (text) => (said += String(text)));
    const first = await Promise.race([once(service.stdout, "data"), once(service, "exit")]);
    try {
      expect(said).toBe("");
      expect(JSON.parse(String(first[0]).split("\n")[0]!)).toMatchObject({ event: "listening" });
    } finally {
      if (service.kill()) await once(service, "exit");
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const asRoot = process.getuid?.() === 0 ? test : test.skip;
asRoot("the router's command starts under another account, with root's credentials, and listens", () =>
  starts(
    "nomyo-router.service",
    (at) => {
      const key = ["-newkey", "rsa:2048", "-nodes", "-keyout", at("tls-key")];
      run("openssl", "req", "-x509", ...key, "-subj", "/CN=localhost", "-days", "1", "-out", at("tls-cert"));
      run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-out", at("server-key"));
      writeFileSync(at("api-keys"), "a-key-of-at-least-sixteen-characters\n");
    },
    // Another address than everyone's, a port that the system chooses, and no TPM.
    (command) =>
      command
        .replace("--host 0.0.0.0 --port 8443", "--host 127.0.0.1 --port 0")
        .replace(" --tcti device:/dev/tpmrm0", ""),
  ),
);

asRoot("the proxy's does, on the socket of its unit", () =>
  starts(
    "nomyo-proxy.service",
    (at) => {
      writeFileSync(at("api-key"), "a-key\n");
      writeFileSync(at("policy"), '{ "version": 1 }\n');
    },
    (command) => command,
    (folder) => {
      const [mode] = settings("nomyo-proxy.socket", "SocketMode");
      return ["python3", "-c", HAND_DOWN, join(folder, "proxy.sock"), mode!];
    },
  ),
);

test("images run as no root, from a lock file or a named version, without scripts", () => {
  const files = readdirSync(join(root, "deploy/docker"));
  expect(files.length).toBe(3);
  for (const file of files) {
    const text = readFileSync(join(root, "deploy/docker", file), "utf8");
    const last = text.slice(text.lastIndexOf("\nFROM "));
    expect(/^USER \d+:\d+$/m.test(last) || /^FROM \S+:nonroot$/m.test(last)).toBe(true);
    expect(text).toMatch(/npm (ci|install) .*--ignore-scripts/);
    // The addon is for glibc: docs/support.md.
    expect(text).not.toMatch(/alpine/);
  }
});
