/**
 * native/addon: a function through which a secret passes is exported by ExportSecret, which wipes the stack and the
 * registers however it ends. What tells such a function is what it calls; README and function.h say the rest.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const addon = join(__dirname, "../../native/addon");
const text = readdirSync(addon)
  .filter((name) => name.endsWith(".cc"))
  .map((name) => readFileSync(join(addon, name), "utf8"))
  .join("\n");

/** Calls by which bytes of a secret get into registers or onto the stack of the JavaScript thread. */
const touching =
  /\b(ReadUtf8|CopyBuffer|GetPassword|CRYPTO_memcmp|CopyOf|DecodeUtf8|IsUtf8|JsonValueMaker|FindPointer|FindOpened|MakeValue|Sealer::Start|std::memmove|PublicKey)\(/;

/** The functions that JavaScript calls, with their bodies. */
const functions = [...text.matchAll(/^Napi::Value (\w+)\(const Napi::CallbackInfo& info\) \{\n([\s\S]*?)^\}/gm)].map(
  ([, name, body]) => ({
    name: name!,
    body: body!,
  }),
);
const exported = new Map(
  [...text.matchAll(/\b(Export|ExportSecret)<(?:Prepared<)?(\w+)>+\(env, exports, "\w+"/g)].map(([, how, name]) => [
    name!,
    how!,
  ]),
);

test("each function is exported once, by one of the two", () => {
  expect(functions.length).toBeGreaterThan(40);
  expect(functions.map(({ name }) => name).filter((name) => !exported.has(name))).toEqual([]);
  expect(text).not.toMatch(/Napi::Function::New/);
});

test("what touches a secret is exported as such", () => {
  const secret = functions.filter(({ body }) => touching.test(body)).map(({ name }) => name);
  expect(secret.length).toBeGreaterThan(10);
  expect(secret.filter((name) => exported.get(name) !== "ExportSecret")).toEqual([]);
});
