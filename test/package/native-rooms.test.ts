/**
 * native/: a folder uses those below it and no other. README's table says which; every `#include` is held against it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chatFlags, proxyFlags, routerFlags } from "../../lib/cli/error-text.js";

const native = join(__dirname, "../../native");

interface Include {
  readonly file: string;
  readonly line: string;
}
type Uses = ReadonlyMap<string, ReadonlySet<string>>;

/** The table of README.md: each folder of the core with those that it may use, in its order. */
function usesOf(readme: string): Uses {
  const table = readme.slice(readme.indexOf("\n| folder "), readme.indexOf("\n\n", readme.indexOf("\n| folder ")));
  const rows = [...table.matchAll(/^\| `(core\/\w+)` +\| (.*) \|$/gm)];
  return new Map(
    rows.map(([, room, uses]) => [room!, new Set([...uses!.matchAll(/`(core\/\w+)`/g)].map((use) => use[1]!))]),
  );
}

/** What is wrong with an `#include` line in `file` (a path under native/), or nothing. */
function fault({ file, line }: Include, uses: Uses): string | undefined {
  const quoted = /^\s*#\s*include\s*"([^"]*)"/.exec(line)?.[1];
  if (quoted === undefined)
    return /<(napi|node_api|js_native_api|uv)\.h>/.test(line) && file.startsWith("core/")
      ? `${file}: ${line}`
      : undefined;
  const from = file.startsWith("core/") ? file.split("/").slice(0, -1).join("/") : "addon";
  const to = quoted.split("/").slice(0, -1).join("/");
  if (to === from || to === "core") return undefined;
  if (from === "addon" && uses.has(to)) return undefined;
  return uses.get(from)?.has(to) ? undefined : `${file}: ${line}`;
}

const uses = usesOf(readFileSync(join(native, "README.md"), "utf8"));
const includes = ["core", "addon"]
  .flatMap((folder) =>
    readdirSync(join(native, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
  )
  .filter((name) => /\.(h|cc)$/.test(name))
  .flatMap((file) =>
    readFileSync(join(native, file), "utf8")
      .split("\n")
      .filter((line) => /^\s*#\s*include\b/.test(line))
      .map((line) => ({ file, line })),
  );

test("the table names every folder of the core, and each uses only those above it in the table", () => {
  const folders = readdirSync(join(native, "core"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect([...uses.keys()].sort()).toEqual(folders.map((entry) => `core/${entry.name}`).sort());
  const seen = new Set<string>();
  for (const [room, used] of uses) {
    expect([...used].filter((each) => !seen.has(each))).toEqual([]);
    seen.add(room);
  }
});

test("no file includes what its folder may not use", () => {
  expect(includes.length).toBeGreaterThan(500);
  expect(includes.map((include) => fault(include, uses)).filter((each) => each !== undefined)).toEqual([]);
});

test("what the table allows is also used", () => {
  const unused = [...uses].flatMap(([room, used]) =>
    [...used].filter(
      (each) => !includes.some(({ file, line }) => file.startsWith(`${room}/`) && line.includes(`"${each}/`)),
    ),
  );
  expect(unused).toEqual([]);
});

test.each([
  ["core/memory/cleanse.cc", '#include "core/crypto/aes_gcm.h"', "a cipher in memory"],
  ["core/json/check.cc", '#  include "core/envelope/opener.h"', "the package format in JSON"],
  ["core/tpm/quote.cc", '#include "core/attestation/policy.h"', "belief in the TPM"],
  ["core/attestation/block.cc", '#include "core/envelope/opener.h"', "sealing in attestation"],
  ["core/result.cc", '#include "core/memory/cleanse.h"', "a folder in what all folders use"],
  ["core/crypto/pem.cc", '#include "addon/error.h"', "the binding in the core"],
  ["core/crypto/pem.cc", "#include <napi.h>", "Node-API in the core"],
  ["core/crypto/pem.cc", '#include "../envelope/opener.h"', "a way round the names"],
  ["addon/tpm.cc", '#include "test/tpm/software_tpm.h"', "a test in the addon"],
])("%s with %s: %s is found", (file, line) => {
  expect(fault({ file, line }, uses)).toBe(`${file}: ${line}`);
});

test("no text of the core names an option of JavaScript's: who calls it knows what it was called", () => {
  // Words that are options too (timeout, log) say nothing of where they come from; a capital inside does.
  const names = [chatFlags, routerFlags, proxyFlags]
    .flatMap((flags) => Object.keys(flags))
    .flatMap((name) => name.split("."))
    .filter((name) => /[A-Z]/.test(name));
  expect(names).toEqual(expect.arrayContaining(["secureMemory", "maxResponseBytes", "keyFile", "persistentHandle"]));
  const isOption = new RegExp(`\\b(${names.join("|")})\\b`);
  const texts = readdirSync(join(native, "core"), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(h|cc)$/.test(name))
    .flatMap((name) =>
      [...readFileSync(join(native, "core", name), "utf8").matchAll(/"(?:[^"\\\n]|\\.)*"/g)].map(
        ([text]) => `${name}: ${text}`,
      ),
    );
  expect(texts.length).toBeGreaterThan(500);
  expect(texts.filter((text) => isOption.test(text))).toEqual([]);
});
