/** Policy files and objects: what is taken, and that everything else is refused with a sentence about the place. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { checkPolicy, parsePolicy, policyId } from "../../../lib/attestation/policy.js";
import type { AttestationPolicy } from "../../../lib/attestation/policy.js";
import { ConfigurationError } from "../../../lib/errors.js";

const hex = (byte: string, bytes: number): string => byte.repeat(bytes);

let folder: string;
let rootPem: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "nomyo-policy-"));
  const file = join(folder, "root.pem");
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=Test root"],
      ...["-keyout", join(folder, "key.pem"), "-out", file],
    ],
    { stdio: "ignore" },
  );
  rootPem = readFileSync(file, "utf8");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The example of docs/attestation.md. */
function full(): AttestationPolicy {
  return {
    version: 1,
    mode: "require",
    preflight: true,
    maxAgeMs: 300_000,
    signature: { schemes: ["rsassa", "rsapss", "ecdsa"], hashes: ["sha256", "sha384"], minRsaBits: 2048 },
    banks: ["sha256"],
    required: { sha256: [0, 7, 10] },
    profiles: [
      {
        name: "fw 1.41",
        note: "2026-10-02, rack B",
        pcrs: { sha256: { "0": hex("a1", 32), "7": [hex("b2", 32), hex("c3", 32)], "10": "any" } },
      },
      { name: "fw 1.42", pcrs: { sha256: { "0": hex("D4", 32), "7": hex("b2", 32), "10": "any" } } },
    ],
    requirePrimary: false,
    engine: "offline",
    aikRoots: [rootPem],
    binding: "optional",
  };
}

function refusal(read: () => unknown): ConfigurationError {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError);
    return error as ConfigurationError;
  }
  throw new Error("it was accepted");
}

describe("a policy that is right", () => {
  test("is taken whole, as a file and as an object, with hex in lower case", () => {
    const policy = parsePolicy(JSON.stringify(full()));
    expect(policy).toEqual(checkPolicy(full()));
    expect(policy.profiles?.[1]?.pcrs.sha256?.["0"]).toBe(hex("d4", 32));
    expect(policy.profiles?.[0]?.pcrs.sha256?.["7"]).toEqual([hex("b2", 32), hex("c3", 32)]);
    expect({ ...policy, profiles: [] }).toEqual({ ...full(), profiles: [] });
  });

  test.each(["off", "report", "require"] as const)("may be the string %p", (mode) => {
    expect(checkPolicy(mode)).toEqual({ version: 1, mode });
  });

  test("requires, when it names no mode", () => {
    expect(checkPolicy({ version: 1 }).mode).toBe("require");
  });

  test("is a frozen copy: what changes the object afterwards changes nothing", () => {
    const given = { version: 1, required: { sha256: [0] } };
    const policy = checkPolicy(given);
    given.required.sha256.push(7);
    expect(policy.required).toEqual({ sha256: [0] });
    expect(() => ((policy as { mode: string }).mode = "off")).toThrow();
    expect(Object.isFrozen(policy.required?.sha256)).toBe(true);
  });

  test("may be 128 KiB long, as bytes in UTF-8", () => {
    const text = JSON.stringify({ version: 1, profiles: [{ name: "ä", pcrs: { sha256: { "0": "any" } } }] });
    const padding = " ".repeat(128 * 1024 - Buffer.byteLength(text));
    expect(parsePolicy(Buffer.from(text + padding)).profiles?.[0]?.name).toBe("ä");
    expect(refusal(() => parsePolicy(Buffer.from(`${text}${padding} `))).message).toContain("over 128 KiB");
  });
});

describe("policyId", () => {
  test("is SHA-256 over JSON with sorted keys and no white space", () => {
    // printf '{"mode":"require","required":{"sha256":[0,7]},"version":1}' | sha256sum
    const expected = execFileSync("sha256sum", {
      input: '{"mode":"require","required":{"sha256":[0,7]},"version":1}',
    })
      .toString()
      .slice(0, 64);
    expect(policyId(checkPolicy({ required: { sha256: [0, 7] }, version: 1 }))).toBe(expected);
    expect(policyId(parsePolicy('{ "version": 1,\n "required": {"sha256": [0, 7]} }'))).toBe(expected);
  });

  test("changes with what is demanded", () => {
    const ids = [full(), { ...full(), mode: "report" as const }, { ...full(), required: { sha256: [0, 7] } }];
    expect(new Set(ids.map((policy) => policyId(checkPolicy(policy)))).size).toBe(3);
  });
});

const one = (pcrs: unknown): unknown => ({ version: 1, profiles: [{ name: "a", pcrs }] });

describe("a policy that is wrong", () => {
  test.each<[string, unknown, string]>([
    ["not an object", [], "must be an object"],
    ["null", null, "must be an object"],
    ["another string", "on", "must be an object"],
    ["empty", {}, "must not be empty"],
    ["without a version", { mode: "require" }, "version"],
    ["version 2", { version: 2 }, "version"],
    ["version as a string", { version: "1" }, "version"],
    ["an unknown key", { version: 1, profile: [] }, 'unknown key "profile"'],
    ["__proto__ as a key", JSON.parse('{"version":1,"__proto__":{"mode":"off"}}'), 'unknown key "__proto__"'],
    ["an unknown mode", { version: 1, mode: "on" }, "mode"],
    ["preflight as a string", { version: 1, preflight: "true" }, "preflight"],
    ["maxAgeMs 0", { version: 1, maxAgeMs: 0 }, "maxAgeMs"],
    ["maxAgeMs 1.5", { version: 1, maxAgeMs: 1.5 }, "maxAgeMs"],
    ["maxAgeMs over 30 days", { version: 1, maxAgeMs: 2_592_000_001 }, "maxAgeMs"],
    ["signature without demands", { version: 1, signature: {} }, "must not be empty"],
    ["an unknown key in signature", { version: 1, signature: { scheme: ["ecdsa"] } }, 'unknown key "scheme"'],
    ["no schemes", { version: 1, signature: { schemes: [] } }, "signature.schemes"],
    ["an unknown scheme", { version: 1, signature: { schemes: ["ecdaa"] } }, "signature.schemes[0]"],
    ["SHA-1 signatures", { version: 1, signature: { hashes: ["sha1"] } }, "signature.hashes[0]"],
    ["a scheme twice", { version: 1, signature: { schemes: ["ecdsa", "ecdsa"] } }, "twice"],
    ["RSA-1024", { version: 1, signature: { minRsaBits: 1024 } }, "minRsaBits"],
    ["no banks", { version: 1, banks: [] }, "banks"],
    ["an unknown bank", { version: 1, banks: ["sha3"] }, "banks[0]"],
    ["a bank in capitals", { version: 1, banks: ["SHA256"] }, "banks[0]"],
    ["a bank twice", { version: 1, banks: ["sha256", "sha256"] }, "twice"],
    ["required without banks", { version: 1, required: {} }, "must not be empty"],
    ["required without PCRs", { version: 1, required: { sha256: [] } }, "required.sha256"],
    ["required as strings", { version: 1, required: { sha256: ["0"] } }, "required.sha256[0]"],
    ["PCR -1", { version: 1, required: { sha256: [-1] } }, "required.sha256[0]"],
    ["PCR 24", { version: 1, required: { sha256: [24] } }, "required.sha256[0]"],
    ["PCR 0.5", { version: 1, required: { sha256: [0.5] } }, "required.sha256[0]"],
    ["a PCR twice", { version: 1, required: { sha256: [7, 7] } }, "twice"],
    ["PCR 16, which anyone may reset", { version: 1, required: { sha256: [16] } }, "reset"],
    ["PCR 23, which anyone may reset", { version: 1, required: { sha256: [23] } }, "reset"],
    ["a demand of a bank that is not allowed", { version: 1, banks: ["sha384"], required: { sha256: [0] } }, "allow"],
    ["a demand of SHA-1 that is not named", { version: 1, required: { sha1: [0] } }, "allow"],
    ["no profiles", { version: 1, profiles: [] }, "profiles"],
    ["a profile without a name", { version: 1, profiles: [{ pcrs: { sha256: { "0": "any" } } }] }, "profiles[0].name"],
    ["a profile with an empty name", { version: 1, profiles: [{ name: "", pcrs: {} }] }, "profiles[0].name"],
    ["a profile without PCRs", { version: 1, profiles: [{ name: "a" }] }, "profiles[0].pcrs"],
    ["a profile with an unknown key", { version: 1, profiles: [{ name: "a", pcr: {} }] }, 'unknown key "pcr"'],
    [
      "two profiles of one name",
      { version: 1, profiles: [0, 1].map(() => ({ name: "a", pcrs: { sha256: { "0": "any" } } })) },
      "earlier",
    ],
    ["a profile without banks", one({}), "profiles[0].pcrs"],
    ["a profile with an empty bank", one({ sha256: {} }), "profiles[0].pcrs.sha256"],
    ["a profile of an unknown bank", one({ md5: { "0": "any" } }), "profiles[0].pcrs"],
    ["a profile of SHA-1 that banks does not name", one({ sha1: { "0": hex("00", 20) } }), "allow"],
    ['index "07"', one({ sha256: { "07": "any" } }), "index"],
    ['index "24"', one({ sha256: { "24": "any" } }), "23"],
    ['index "-1"', one({ sha256: { "-1": "any" } }), "index"],
    ['index " 7"', one({ sha256: { " 7": "any" } }), "index"],
    ['index "1e1"', one({ sha256: { "1e1": "any" } }), "index"],
    ["a full-width index", one({ sha256: { "７": "any" } }), "index"],
    ['index "16"', one({ sha256: { "16": "any" } }), "reset"],
    ['index "23"', one({ sha256: { "23": "any" } }), "reset"],
    ["hex that is too short", one({ sha256: { "0": hex("00", 31) } }), "64 hex digits"],
    ["hex of another bank's length", one({ sha256: { "0": hex("00", 48) } }), "64 hex digits"],
    ["hex with 0x", one({ sha256: { "0": `0x${hex("00", 31)}` } }), "64 hex digits"],
    ["hex with a letter too many", one({ sha256: { "0": `${hex("00", 31)}0g` } }), "64 hex digits"],
    ["an empty list of values", one({ sha256: { "0": [] } }), "not empty"],
    ["a value twice", one({ sha256: { "0": [hex("ab", 32), hex("AB", 32)] } }), "twice"],
    ['"any" in a list', one({ sha256: { "0": ["any"] } }), "64 hex digits"],
    ["a number as a value", one({ sha256: { "0": 0 } }), "64 hex digits"],
    ["requirePrimary 1", { version: 1, requirePrimary: 1 }, "requirePrimary"],
    ["an unknown engine", { version: 1, engine: "tpm" }, "engine"],
    ["no AIK roots", { version: 1, aikRoots: [] }, "aikRoots"],
    ["AIK roots that are no certificates", { version: 1, aikRoots: ["-----BEGIN CERTIFICATE-----"] }, "aikRoots[0]"],
    ["an unknown binding", { version: 1, binding: "off" }, "binding"],
  ])("%s", (_, policy, place) => {
    expect(refusal(() => checkPolicy(policy)).message).toContain(place);
    // As a file too, where a mode alone is not a policy either.
    expect(refusal(() => parsePolicy(JSON.stringify(policy), "p.json")).option).toBe("p.json");
  });

  test("two certificates in one string", () => {
    expect(refusal(() => checkPolicy({ version: 1, aikRoots: [rootPem + rootPem] })).message).toContain("aikRoots[0]");
  });
});

describe("a policy file that is wrong", () => {
  test.each<[string, string | Uint8Array, string]>([
    ["empty", "", "JSON"],
    ["not JSON", "{version: 1}", "JSON"],
    ["with a comment", '{"version": 1} // ok', "JSON"],
    ["with a trailing comma", '{"version": 1,}', "JSON"],
    ["two values", '{"version": 1}{"version": 1}', "JSON"],
    ["a string for a mode", '"require"', "must be an object"],
    ["a duplicate key", '{"version": 1, "mode": "require", "mode": "off"}', '"mode" twice'],
    ["a duplicate key, once escaped", '{"version": 1, "mode": "require", "m\\u006fde": "off"}', '"mode" twice'],
    ["a duplicate key inside", '{"version":1,"required":{"sha256":[0],"sha256":[7]}}', '"sha256" twice'],
    ["a duplicate PCR", `{"version":1,"profiles":[{"name":"a","pcrs":{"sha256":{"0":"any","0":"any"}}}]}`, '"0" twice'],
    [
      "a duplicate after an array of objects",
      '{"version":1,"profiles":[{"name":"a","note":"{\\"","pcrs":{"sha256":{"0":"any"}}}],"version":1}',
      '"version" twice',
    ],
    ["a byte order mark", "\uFEFF{}", "byte order mark"],
    ["a byte order mark, in bytes", Buffer.from('\uFEFF{"version":1}'), "byte order mark"],
    ["not UTF-8", Buffer.from([0x7b, 0xff, 0x7d]), "UTF-8"],
    ["UTF-16", Buffer.from('{"version":1}', "utf16le"), "JSON"],
    ["over 128 KiB", `{"version":1}${" ".repeat(128 * 1024)}`, "128 KiB"],
    ["deep", "[".repeat(60_000) + "]".repeat(60_000), "must be an object"],
  ])("%s", (_, file, problem) => {
    expect(refusal(() => parsePolicy(file)).message).toContain(problem);
  });

  test("equal keys of different objects, and values that look like keys, are no duplicates", () => {
    const file =
      '{"version":1,"profiles":[{"name":"name","note":"mode","pcrs":{"sha256":{"0":"any"}}},' +
      '{"name":"b","pcrs":{"sha256":{"0":"any"}}}]}';
    expect(parsePolicy(file).profiles).toHaveLength(2);
  });
});
