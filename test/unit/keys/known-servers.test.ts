import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { writeFileAtomically } from "../../../lib/keys/atomic-file.js";
import { withFileLock } from "../../../lib/keys/file-lock.js";
import { KnownServersFile } from "../../../lib/keys/known-servers.js";
import { ConfigurationError } from "../../../lib/errors.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "known-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const a = "a".repeat(64);
const b = "b".repeat(64);

describe("KnownServersFile", () => {
  it("remembers one key for each server, across objects, in a file of mode 0600", async () => {
    const path = join(folder, "new", "known_servers");
    const file = new KnownServersFile(path);
    expect(file.find("https://one.example")).toBeUndefined();
    const entry = { base: "https://one.example", fingerprint: a, line: 2 };
    expect(await file.remember("https://one.example", a)).toEqual(entry);
    await file.remember("https://two.example", b);
    expect(new KnownServersFile(path).find("https://one.example")).toEqual(entry);
    expect(new KnownServersFile(path).find("https://two.example")).toMatchObject({ fingerprint: b, line: 3 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "new")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, "new"))).toEqual(["known_servers"]);
  });

  it("never replaces a known key, and says which it is", async () => {
    const file = new KnownServersFile(join(folder, "k"));
    await file.remember("https://one.example", a);
    expect(await file.remember("https://one.example", b)).toEqual({
      base: "https://one.example",
      fingerprint: a,
      line: 2,
    });
    expect(file.find("https://one.example")?.fingerprint).toBe(a);
  });

  it.each([0o620, 0o602, 0o666])("refuses a file of mode %o, which others may change", async (mode) => {
    const file = new KnownServersFile(join(folder, "k"));
    await file.remember("https://one.example", a);
    chmodSync(file.path, mode);
    expect(() => file.find("https://one.example")).toThrow(/chmod go-w/);
    await expect(file.remember("https://two.example", b)).rejects.toThrow(/chmod go-w/);
    chmodSync(file.path, 0o644);
    expect(file.find("https://one.example")).toMatchObject({ fingerprint: a });
  });

  it("refuses a file of another account", async () => {
    const file = new KnownServersFile(join(folder, "k"));
    await file.remember("https://one.example", a);
    // Where the tests run as root, the file is given away; else the process is said to be another account's.
    if (process.geteuid?.() === 0) chownSync(file.path, 65_534, 65_534);
    else jest.spyOn(process, "geteuid").mockReturnValue(65_534);
    expect(() => file.find("https://one.example")).toThrow(/belongs to another account/);
    jest.restoreAllMocks();
  });

  it("refuses a file with a line that it does not understand, and names the line", () => {
    const path = join(folder, "k");
    writeFileSync(path, `# comment\n\nhttps://one.example sha256:${a}\nhttps://two.example md5:00\n`);
    expect(() => new KnownServersFile(path).find("https://one.example")).toThrow(/Line 4/);
    expect(() => new KnownServersFile(path).find("https://one.example")).toThrow(ConfigurationError);
  });

  it("refuses a file that cannot be read", () => {
    expect(() => new KnownServersFile(folder).find("https://one.example")).toThrow(/EISDIR/);
  });
});

describe("KnownServersFile keeps", () => {
  it("comments, blank lines, and a last line without its end", async () => {
    const path = join(folder, "k");
    writeFileSync(path, `# of the ward\n\nhttps://one.example sha256:${a}\n# the laboratory`);
    expect(await new KnownServersFile(path).remember("https://two.example", b)).toMatchObject({ line: 5 });
    expect(readFileSync(path, "utf8")).toBe(
      `# of the ward\n\nhttps://one.example sha256:${a}\n# the laboratory\nhttps://two.example sha256:${b}\n`,
    );
  });

  it("a symbolic link, and removes what a crash has left beside the file", async () => {
    mkdirSync(join(folder, "etc"));
    writeFileSync(join(folder, "etc", "servers"), "");
    writeFileSync(join(folder, "etc", ".servers.0123456789abcdef"), "half");
    writeFileSync(join(folder, "etc", ".servers.lock"), "");
    symlinkSync(join(folder, "etc", "servers"), join(folder, "k"));
    await new KnownServersFile(join(folder, "k")).remember("https://one.example", a);
    expect(lstatSync(join(folder, "k")).isSymbolicLink()).toBe(true);
    expect(readdirSync(join(folder, "etc"))).toEqual(["servers"]);
    expect(readFileSync(join(folder, "etc", "servers"), "utf8")).toContain(`https://one.example sha256:${a}\n`);
  });
});

describe("withFileLock", () => {
  it("lets one after the other in, and leaves no file", async () => {
    const lock = join(folder, "lock");
    let inside = 0;
    const visits = Array.from({ length: 5 }, () =>
      withFileLock(lock, "keyDir", async () => {
        expect(++inside).toBe(1);
        await new Promise(setImmediate);
        inside--;
      }),
    );
    await Promise.all(visits);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("gives up with an error that names the file when it stays held", async () => {
    const lock = join(folder, "lock");
    let leave: () => void = () => undefined;
    const held = withFileLock(lock, "keyDir", () => new Promise<void>((resolve) => (leave = resolve)));
    const late = withFileLock(lock, "keyDir", () => undefined, 50);
    await expect(late).rejects.toThrow(ConfigurationError);
    await expect(late).rejects.toThrow(`has held ${lock}`);
    leave();
    await held;
    await withFileLock(lock, "keyDir", () => undefined, 0);
  });

  it("ends with its work, also with one that fails", async () => {
    const lock = join(folder, "lock");
    await expect(withFileLock(lock, "keyDir", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await withFileLock(lock, "keyDir", () => undefined, 0);
  });

  it("is never taken through a symbolic link", async () => {
    symlinkSync(join(folder, "elsewhere"), join(folder, "lock"));
    await expect(withFileLock(join(folder, "lock"), "keyDir", () => undefined)).rejects.toThrow(/ELOOP/);
    expect(readdirSync(folder)).toEqual(["lock"]);
  });
});

describe("writeFileAtomically", () => {
  it("replaces a file, and leaves nothing else behind", () => {
    const path = join(folder, "f");
    writeFileAtomically(path, Buffer.from("one"), 0o644, true);
    writeFileAtomically(path, Buffer.from("two"), 0o600, true);
    expect(readFileSync(path, "utf8")).toBe("two");
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder)).toEqual(["f"]);
  });

  it("leaves an existing file alone when it must not replace it", () => {
    const path = join(folder, "f");
    writeFileSync(path, "mine");
    expect(() => writeFileAtomically(path, Buffer.from("two"), 0o600, false)).toThrow(
      expect.objectContaining({ code: "EEXIST" }),
    );
    expect(readFileSync(path, "utf8")).toBe("mine");
    expect(readdirSync(folder)).toEqual(["f"]);
  });

  it("has the final mode from the beginning, whatever the umask", () => {
    const former = process.umask(0);
    try {
      writeFileAtomically(join(folder, "f"), Buffer.from("x"), 0o600, false);
    } finally {
      process.umask(former);
    }
    expect(statSync(join(folder, "f")).mode & 0o777).toBe(0o600);
    chmodSync(join(folder, "f"), 0o600);
  });
});
