/** docs/advisories.md: no function that it says is not called is called, and no advisory is in two rows. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(__dirname, "../..");
const page = readFileSync(join(root, "docs/advisories.md"), "utf8");
const rows = page
  .split("\n")
  .filter((line) => /^\| (CVE|GHSA)-/.test(line))
  .map((line) => line.split("|").map((cell) => cell.trim()));

/** The sources, without remarks. */
const code = ["native/core", "native/addon"]
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(root, folder, String(name))),
  )
  .filter((path) => /\.(cc|h)$/.test(path))
  .map((path) => readFileSync(path, "utf8").replace(/\/\/.*$/gm, ""))
  .join("\n");

test("each advisory has one row, with a verdict and a reason", () => {
  const named = rows.flatMap(([, names]) => names!.match(/CVE-\d{4}-\d+|GHSA-[a-z0-9-]{14}/g) ?? []);
  expect(named.length).toBeGreaterThan(80);
  expect(new Set(named).size).toBe(named.length);
  for (const [, names, where, verdict, why] of rows) {
    expect([names, /^(no|\*\*(partly|yes)\*\*)$/.test(verdict!), where === "", why!.length > 5]).toEqual([
      names,
      true,
      false,
      true,
    ]);
  }
});

test("what a reason says is not called is not called", () => {
  const absent = rows
    .filter(([, , , verdict]) => verdict === "no")
    .flatMap(([, , where, , why]) => [
      ...(why!.startsWith("not called") ? [where!] : []),
      ...(why!.match(/\b(no|not|none)\b[^.;]*/g) ?? []),
    ])
    .flatMap((words) => [...words.matchAll(/`([A-Za-z0-9]+_\w+)`/g)].map(([, name]) => name!));
  expect(absent.length).toBeGreaterThan(25);
  expect(absent.filter((name) => new RegExp(`\\b${name}`).test(code))).toEqual([]);
  // The page is about this code: what it says is called, is.
  for (const name of ["d2i_X509", "Esys_ReadPublic", '"AES-256-GCM"']) expect(code).toContain(name);
});

test("no cipher is fetched but those that the page names", () => {
  const fetched = [...code.matchAll(/EVP_CIPHER_fetch\([^"]*"([^"]+)"/g)].map(([, name]) => name);
  expect(fetched.sort()).toEqual(["AES-256-CBC", "AES-256-GCM"]);
});
