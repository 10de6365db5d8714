/** Key folders and known-servers files that several processes use at the same time, and what a crash leaves of them. */
import { execFile } from "node:child_process";
import { createPrivateKey, createPublicKey } from "node:crypto";
import fs, {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { keyFiles, loadKeyPair, loadPrivateKey, savePrivateKey } from "../../../lib/keys/key-store.js";
import { PrivateKey } from "../../../lib/keys/private-key.js";
import { ConfigurationError, SecurityError } from "../../../lib/errors.js";
import { native } from "../../../lib/native.js";
import { buildPackage } from "../../support/built-package.js";
import { copyPackage } from "../../support/package-copy.js";

jest.setTimeout(240_000);
const run = promisify(execFile);
const asRoot = process.geteuid?.() === 0 ? it : it.skip;

let folder: string;
beforeAll(buildPackage);
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "shared-state-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function child(role: string, path: string, argument: string): Promise<Record<string, unknown>> {
  const { stdout } = await run(process.execPath, [join(__dirname, "shared-state.cjs"), role, path, argument]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

async function newPair(): Promise<string> {
  const key = new PrivateKey(await native.generatePrivateKey(2048, "required"));
  const version = await savePrivateKey(folder, key, undefined, "required");
  key.dispose();
  return version!;
}

/** Whether the public file is the private one's, as Node's own crypto sees it. */
function belongTogether(): boolean {
  const { privateKey, publicKey } = keyFiles(folder);
  const der = (pem: Buffer): Buffer => createPublicKey(pem).export({ type: "spki", format: "der" });
  createPrivateKey(readFileSync(privateKey));
  return der(readFileSync(publicKey)).equals(der(readFileSync(privateKey)));
}

describe("a known-servers file of four processes", () => {
  it("loses no entry, and all agree on a server that each has seen with another key", async () => {
    const path = join(folder, "known_servers");
    const outcomes = await Promise.all(["a", "b", "c", "d"].map((name) => child("remember", path, name)));
    const lines = readFileSync(path, "utf8").trimEnd().split("\n").slice(1);
    expect(lines).toHaveLength(4 * 50 + 1);
    expect(new Set(lines.map((line) => line.split(" ")[0])).size).toBe(4 * 50 + 1);
    const common = /common\.example sha256:(\w+)/.exec(readFileSync(path, "utf8"))?.[1];
    expect(outcomes.map((outcome) => outcome["common"])).toEqual([common, common, common, common]);
    expect(readdirSync(folder)).toEqual(["known_servers"]);
  });
});

describe("a key folder of several processes", () => {
  it("always holds a pair: rotations exclude each other, and no load is refused meanwhile", async () => {
    await newPair();
    const stop = join(folder, "stop");
    const loading = [child("load", folder, stop), child("load", folder, stop)];
    const rotations = await Promise.all(["6", "6", "6"].map((times) => child("rotate", folder, times)));
    writeFileSync(stop, "");
    for (const { loads, refused } of await Promise.all(loading)) {
      expect(refused).toEqual([]);
      expect(loads).toBeGreaterThan(0);
    }
    const sum = (name: string): number => rotations.reduce((total, each) => total + (each[name] as number), 0);
    expect(sum("replaced") + sum("superseded")).toBe(18);
    expect(sum("replaced")).toBeGreaterThanOrEqual(6);
    expect(belongTogether()).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(["private_key.pem", "public_key.pem", "stop"]);
  });

  it("is loaded when its public key was missing for the moment of another process's rotation", async () => {
    await newPair();
    const { privateKey, publicKey } = keyFiles(folder);
    const pem = readFileSync(publicKey);
    rmSync(publicKey);
    const read = fs.readFileSync;
    let missed = 0;
    const spy = jest.spyOn(fs, "readFileSync").mockImplementation(((path: string, options: "utf8") => {
      try {
        return read(path, options);
      } catch (error) {
        // The other process's next step, before anybody can look again.
        missed += 1;
        writeFileSync(publicKey, pem);
        throw error;
      }
    }) as typeof fs.readFileSync);
    try {
      const { key } = await loadPrivateKey(privateKey, publicKey, undefined, "required");
      key.dispose();
    } finally {
      spy.mockRestore();
    }
    expect(missed).toBe(1);
  });

  it("keeps the key that another process has put there meanwhile", async () => {
    const first = await newPair();
    const key = new PrivateKey(await native.generatePrivateKey(2048, "required"));
    const second = await savePrivateKey(folder, key, undefined, "required", first);
    expect(second).not.toBe(first);
    const before = readFileSync(keyFiles(folder).privateKey);
    expect(await savePrivateKey(folder, key, undefined, "required", first)).toBeUndefined();
    key.dispose();
    expect(readFileSync(keyFiles(folder).privateKey)).toEqual(before);
    expect(belongTogether()).toBe(true);
  });

  it("is whole again after a process was killed in the middle of a rotation", async () => {
    const version = await newPair();
    await expect(child("die", folder, "")).rejects.toMatchObject({ signal: "SIGKILL" });
    expect(readdirSync(folder).sort()).toEqual([".lock", ".private_key.pem.0123456789abcdef", "private_key.pem"]);
    const stored = await loadKeyPair(folder, undefined, "required");
    expect(belongTogether()).toBe(true);
    await savePrivateKey(folder, stored.key, undefined, "required", version);
    stored.key.dispose();
    expect(belongTogether()).toBe(true);
    expect(readdirSync(folder).sort()).toEqual(["private_key.pem", "public_key.pem"]);
  });

  it("may hold symbolic links, which stay", async () => {
    await newPair();
    const elsewhere = join(folder, "elsewhere");
    mkdirSync(elsewhere, { mode: 0o700 });
    const { privateKey } = keyFiles(folder);
    writeFileSync(join(elsewhere, "key"), readFileSync(privateKey), { mode: 0o600 });
    rmSync(privateKey);
    symlinkSync(join(elsewhere, "key"), privateKey);
    const stored = await loadKeyPair(folder, undefined, "required");
    const key = new PrivateKey(await native.generatePrivateKey(2048, "required"));
    expect(await savePrivateKey(folder, key, undefined, "required", stored.version)).toBeDefined();
    expect(lstatSync(privateKey).isSymbolicLink()).toBe(true);
    expect(belongTogether()).toBe(true);
  });
});

describe("refused, with what to do", () => {
  const load = (): Promise<unknown> => {
    const { privateKey, publicKey } = keyFiles(folder);
    return loadPrivateKey(privateKey, publicKey, undefined, "required");
  };

  it("a folder that others may write to", async () => {
    await newPair();
    chmodSync(folder, 0o777);
    await expect(load()).rejects.toThrow(`chmod go-w ${folder}`);
    await expect(load()).rejects.toMatchObject({ name: "SecurityError", code: "KEY_PERMISSIONS" });
    const key = new PrivateKey(await native.generatePrivateKey(2048, "required"));
    await expect(savePrivateKey(folder, key, undefined, "required")).rejects.toThrow(SecurityError);
    // As in /tmp: others may add files, but not replace this one.
    chmodSync(folder, 0o1777);
    await load();
  });

  asRoot("a key or a folder of another account", async () => {
    await newPair();
    chownSync(keyFiles(folder).privateKey, 12345, 12345);
    await expect(load()).rejects.toThrow(/private_key\.pem belongs to another account \(uid 12345\)/);
    chownSync(keyFiles(folder).privateKey, 0, 0);
    chownSync(folder, 12345, 12345);
    await expect(load()).rejects.toThrow(/belongs to another account/);
  });

  asRoot("a folder that this account cannot write to, by the file's name", async () => {
    const copy = copyPackage();
    const script = `
      process.setgid(12345); process.setuid(12345);
      const { KnownServersFile } = require(${JSON.stringify(copy.path("dist/keys/known-servers.js"))});
      const file = new KnownServersFile(process.argv[1]);
      file.remember("https://x.example", "0".repeat(64)).catch((e) => console.log(e.name, e.message));`;
    chmodSync(folder, 0o755);
    const { stdout } = await run(copy.node, ["-e", script, join(folder, "known_servers")], { cwd: "/" }).finally(() => {
      copy.remove();
    });
    expect(stdout).toContain(ConfigurationError.name);
    expect(stdout).toMatch(/known_servers.*EACCES/);
    expect(existsSync(join(folder, "known_servers"))).toBe(false);
  });
});
