import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { writeFileAtomically } from "../../../lib/client/atomic-file.js";
import { KnownServersFile } from "../../../lib/client/known-servers.js";
import { ConfigurationError } from "../../../lib/errors.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "known-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const a = "a".repeat(64);
const b = "b".repeat(64);

describe("KnownServersFile", () => {
  it("remembers one key for each server, across objects, in a file of mode 0600", () => {
    const path = join(folder, "new", "known_servers");
    const file = new KnownServersFile(path);
    expect(file.find("https://one.example")).toBeUndefined();
    file.add("https://one.example", a);
    file.add("https://two.example", b);
    expect(new KnownServersFile(path).find("https://one.example")).toEqual({
      base: "https://one.example",
      fingerprint: a,
      line: 2,
    });
    expect(new KnownServersFile(path).find("https://two.example")).toMatchObject({ fingerprint: b, line: 3 });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "new")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, "new"))).toEqual(["known_servers"]);
  });

  it("never replaces a known key", () => {
    const file = new KnownServersFile(join(folder, "k"));
    file.add("https://one.example", a);
    expect(() => file.add("https://one.example", b)).toThrow(/already known/);
    expect(file.find("https://one.example")?.fingerprint).toBe(a);
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
