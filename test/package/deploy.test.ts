/** deploy/: the unit's command runs as an account that is not root, from credentials as systemd gives them; and what checks the rest can be. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildPackage, root } from "../support/built-package.js";

const unitFile = join(root, "deploy/systemd/nomyo-router.service");
const unit = readFileSync(unitFile, "utf8").replace(/\\\n\s*/g, "");
const setting = (name: string): string[] =>
  [...unit.matchAll(new RegExp(`^${name}=(.*)$`, "gm"))].map((match) => match[1]!);

test("the router's page shows this very unit", () => {
  const shown = /```ini\n([^]*?)```/.exec(readFileSync(join(root, "docs/router.md"), "utf8"))![1];
  expect(shown).toBe(readFileSync(unitFile, "utf8"));
});

const has = (command: string) => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0;

(has("systemd-analyze") ? test : test.skip)("systemd-analyze finds nothing wrong with it", () => {
  const folder = mkdtempSync(join(tmpdir(), "nomyo-unit-"));
  try {
    const copy = join(folder, "nomyo-router.service");
    // The one thing that this machine need not have is Node at that place.
    writeFileSync(copy, readFileSync(unitFile, "utf8").replace("/usr/bin/node", "/bin/true"));
    const { status, stdout, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", copy], { encoding: "utf8" });
    const said = (stdout + stderr).split("\n").filter((line) => line.includes("nomyo-router"));
    expect({ status, said }).toEqual({ status: 0, said: [] });
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
    entries = [(0x01, 4, 0xffffffff), (0x02, 4, uid), (0x04, 0, 0xffffffff), (0x10, 4, 0xffffffff), (0x20, 0, 0xffffffff)]
    os.setxattr(path, "system.posix_acl_access", struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *e) for e in entries))
`;

const asRoot = process.getuid?.() === 0;
(asRoot ? test : test.skip)(
  "its command starts under another account, with root's credentials, and answers",
  async () => {
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
      const at = (name: string) => join(credentials, name);
      const run = (command: string, ...args: string[]) => {
        const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
        if (status !== 0) throw new Error(`${command}: ${stderr}`);
      };
      const subject = ["-subj", "/CN=localhost", "-days", "1", "-nodes"];
      run(
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        ...subject,
        "-keyout",
        at("tls-key"),
        "-out",
        at("tls-cert"),
      );
      run("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096", "-out", at("server-key"));
      writeFileSync(at("api-keys"), "a-key-of-at-least-sixteen-characters\n");
      const names = setting("LoadCredential").map((line) => line.split(":")[0]!);
      expect(names.sort()).toEqual(readdirSync(credentials).sort());
      run("python3", "-c", GRANT, "65534", ...names.map(at));

      const [command, ...args] = setting("ExecStart")[0]!
        .replaceAll("${CREDENTIALS_DIRECTORY}", credentials)
        .replace("/usr/bin/node", node)
        .replace("/opt/nomyo-router", folder)
        // Another address than everyone's, a port that the system chooses, and no TPM.
        .replace("--host 0.0.0.0 --port 8443", "--host 127.0.0.1 --port 0 --json --secure-memory preferred")
        .replace(" --tcti device:/dev/tpmrm0", "")
        .split(/ +/);
      const account = ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--bounding-set=-all"];
      const router = spawn("setpriv", [...account, command!, ...args], { cwd: "/", env: { PATH: "/usr/bin:/bin" } });
      let said = "";
      router.stderr.on("data", (text) => (said += String(text)));
      const first = await Promise.race([once(router.stdout, "data"), once(router, "exit")]);
      try {
        expect(said).toBe("");
        expect(JSON.parse(String(first[0]).split("\n")[0]!)).toMatchObject({ event: "listening" });
      } finally {
        router.kill();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
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
