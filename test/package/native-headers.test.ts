/**
 * native/core's headers: what can fail says with which codes, and everything says which threads may call it. What a
 * cipher's header has to say besides, and the sealer's and the opener's, is looked for by its words.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const native = join(__dirname, "../../native");
const read = (path: string): string => readFileSync(join(native, path), "utf8");
const headers = readdirSync(join(native, "core"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".h"))
  .map((path) => `core/${path}`);

const [, listed] = /enum class Code \{([^}]*)\}/.exec(read("core/result.h"))!;
const codes = new Set([...listed!.matchAll(/\b(k[A-Z]\w+),/g)].map((match) => match[1]!));

interface Declared {
  readonly line: string;
  /** In the comments above it, of its class, at the file's top, and in those that stand alone. */
  readonly said: string;
}

const isComment = /^\s*\/\//;

/** The functions that others may call, in what clang-format has laid out. */
function functions(source: string): Declared[] {
  const lines = source.split("\n");
  const above = (end: number): string => {
    let start = end;
    while (start > 0 && /^\s*(\/\/|template)/.test(lines[start - 1]!)) start--;
    return lines.slice(start, end).join("\n");
  };
  const ofFile = lines.slice(
    0,
    lines.findIndex((line) => !isComment.test(line)),
  );
  const alone = source.match(/(?<=\n\n)(\/\/.*\n)+(?=\n)/g) ?? [];
  let ofClass = "";
  let isPublic = true;
  return lines.flatMap((line, at) => {
    if (/^(class|struct) .*\{$/.test(line)) [ofClass, isPublic] = [above(at), true];
    if (line === "};") [ofClass, isPublic] = ["", true];
    if (/^ \w+:$/.test(line)) isPublic = line === " public:";
    const declares = /^ {0,2}((static|virtual|inline|constexpr|\[\[nodiscard\]\]) )*[\w:][\w:<>,&* ]*[ *&]\w+\(/;
    if (!isPublic || !declares.test(line) || /^\s*(return|using|explicit|F)\b|operator|^#/.test(line)) return [];
    return [{ line: line.trim(), said: [above(at), ofClass, ...ofFile, ...alone].join("\n") }];
  });
}

const saysCode = (said: string): boolean => [...said.matchAll(/\bk[A-Z]\w+/g)].some(([word]) => codes.has(word));
const saysThread = (said: string): boolean => /thread/i.test(said);
/** A type of what is handed on, the errors' own file, and data without functions that do anything. */
const exempt = new Set(["core/result.h", "core/memory/poison.h"]);
const all = headers
  .filter((path) => !exempt.has(path))
  .flatMap((path) => functions(read(path)).map((one) => ({ path, ...one })));

test("functions are found, and what is said of them", () => {
  const found = functions(
    "// A file.\n#pragma once\n\n// Any thread.\nclass A {\n public:\n  // Makes. Errors: kCrypto.\n" +
      "  Status Make(int a);\n\n private:\n  Status Hidden();\n};\n\n// Bare.\nint Bare();\n",
  );
  expect(found.map(({ line, said }) => [line, saysCode(said), saysThread(said)])).toEqual([
    ["Status Make(int a);", true, true],
    ["int Bare();", false, false],
  ]);
  expect(all.length).toBeGreaterThan(200);
});

test("what gives a Result or a Status names its codes", () => {
  const fallible = all.filter(({ line }) => /^((static|virtual|\[\[nodiscard\]\]) )*(Result<|Status )/.test(line));
  expect(fallible.length).toBeGreaterThan(60);
  expect(fallible.filter(({ said }) => !saysCode(said)).map(({ path, line }) => `${path}: ${line}`)).toEqual([]);
});

test("everything says which threads may call it", () => {
  expect(all.filter(({ said }) => !saysThread(said)).map(({ path, line }) => `${path}: ${line}`)).toEqual([]);
});

test("OpenSSL can be refused memory: where kCrypto stands, kMemoryLock and kOutOfMemory do", () => {
  // These set OpenSSL up, in ordinary memory.
  const before = ["core/crypto/algorithms.h", "core/memory/openssl_memory.h"];
  const half = all.filter(
    ({ path, said }) =>
      !before.includes(path) &&
      said.includes("kCrypto") &&
      !(said.includes("kMemoryLock") && said.includes("kOutOfMemory")),
  );
  expect(half.map(({ path, line }) => `${path}: ${line}`)).toEqual([]);
});

const words: readonly [path: string, ...words: RegExp[]][] = [
  ["core/crypto/aes_gcm.h", /nonce that is used twice[^]*costs/, /largest message/, /wiped then/, /constant\s/],
  ["core/crypto/rsa_oaep.h", /at most the modulus's length less 66 bytes/, /may be used\s/, /no hint at which check/],
  ["core/envelope/sealer.h", /second use would cost/, /largest plaintext/, /good for\s[^]*nothing but destruction/],
  ["core/envelope/opener.h", /largest package/, /nothing of the plaintext is left/],
  ["core/envelope/plaintext_stream.h", /More than `limit` bytes/, /nothing but destruction/],
];
test.each(words)("%s says what nonces cost, how much it takes, and what a failure leaves", (path, ...said) => {
  const text = read(path).replaceAll(/\n\s*\/\/ ?/g, " ");
  expect(said.filter((each) => !each.test(text))).toEqual([]);
});
