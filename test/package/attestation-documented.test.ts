/** docs/attestation.md has every check in its order, every key of a policy, and what to do about every code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { attestationCodes } from "../../lib/attestation/report.js";

const read = (path: string): string => readFileSync(join(__dirname, "../..", path), "utf8");
const page = read("docs/attestation.md");
/** The first cells of the one table whose header starts so. */
function rows(header: string): string[] {
  const tables = page.split("\n\n").filter((block) => block.replace(/ +/g, " ").startsWith(header));
  expect(tables).toHaveLength(1);
  return tables[0]!
    .split("\n")
    .slice(2)
    .map((line) => line.split("|")[1]!.trim());
}
const words = (cell: string): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);

test("the checks, in the order in which they decide", () => {
  expect(rows("| code | what must hold |").flatMap(words)).toEqual(attestationCodes);
});

test("a code with something to do about it is one, and each has its row but those that fail nothing", () => {
  const patterns = rows("| code | usual reason |")
    .filter((cell) => !cell.startsWith("fault"))
    .flatMap(words);
  const has = (pattern: string, code: string): boolean =>
    pattern.endsWith("*") ? code.startsWith(pattern.slice(0, -1)) : code === pattern;
  expect(patterns.filter((pattern) => !attestationCodes.some((code) => has(pattern, code)))).toEqual([]);
  // CLOCK is reported only.
  expect(attestationCodes.filter((code) => !patterns.some((pattern) => has(pattern, code)))).toEqual([
    "SIGNER_NAME",
    "CLOCK",
  ]);
});

describe("the keys of a policy", () => {
  /** Those inside `signature` with it before them; what stands in other keys is the bank's or the profile's. */
  const keysIn = (policy: Readonly<Record<string, object>>): string[] =>
    Object.entries(policy).flatMap(([key, value]) =>
      key === "signature" ? Object.keys(value).map((inner) => `${key}.${inner}`) : [key],
    );
  const [, members] = /\nexport interface AttestationPolicy \{\n([^]*?)\n\}/.exec(read("lib/attestation/policy.ts"))!;
  const outer = [...members!.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name]) => name!);
  const inner = [...members!.matchAll(/^ {4}readonly (\w+)\??:/gm)].map(([, name]) => `signature.${name}`);
  const keys = [...outer.filter((name) => name !== "signature"), ...inner].sort();

  test("each has its row", () => {
    expect(keys).toEqual(expect.arrayContaining(["version", "signature.minRsaBits", "binding"]));
    const documented = rows("| key | meaning |").flatMap((cell) => {
      const [first, ...others] = words(cell);
      return [first!, ...others.map((name) => first!.split(".")[0]! + name)];
    });
    expect(documented.sort()).toEqual(keys);
  });

  test("each is in the example", () => {
    const [, example] = /```json\n(\{\n {2}"version"[^]*?)```/.exec(page)!;
    expect(keysIn(JSON.parse(example!) as Record<string, object>).sort()).toEqual(keys);
  });

  test("each is in what the fuzzer starts from", () => {
    // One letter before the policy says what it is.
    const policies = ["policy-full", "policy-roots"].map(
      (name) => JSON.parse(read(`native/fuzz/corpus/attestation/${name}`).slice(1)) as Record<string, object>,
    );
    expect([...new Set(policies.flatMap(keysIn))].sort()).toEqual(keys);
  });
});
