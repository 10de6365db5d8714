/**
 * native/addon reads members of JavaScript's objects by GetProperty and GetElement only. `Object::Get` of
 * node-addon-api gives an empty value when an environment is being ended, and a conversion of that (ToNumber,
 * ToBoolean) ends the process; so do conversions themselves, which run JavaScript.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const addon = join(__dirname, "../../native/addon");
const files = readdirSync(addon).filter((name) => /\.(cc|h)$/.test(name));

const forbidden = [
  { what: "Object::Get", pattern: /(\.|->)Get\(/ },
  { what: "a conversion that runs JavaScript", pattern: /(\.|->)To(Boolean|Number|String|Object)\(\)|napi_coerce_to_/ },
  { what: "reading elsewhere than in property.cc", pattern: /\bnapi_get_(property|named_property|element)\(/ },
  { what: "throwing while an exception may be pending", pattern: /\.ThrowAsJavaScriptException\(\)/ },
  {
    what: "memory that is freed though another thread may have it",
    pattern: /napi_create_external_(arraybuffer|buffer)\(/,
  },
];
/** Where it is right, with the reason. */
const allowed = new Map([
  ["property.cc", "the one place that reads"],
  ["json_value.cc", "reads members of its own script's result, whose status it checks"],
  ["argument.cc", "throws if nothing is pending"],
  ["error.cc", "throws if nothing is pending"],
  ["environment.cc", "throws where nothing has run that could have thrown"],
  ["memory.cc", "a view's finalizer believes only what came back whole"],
  ["package_memory.cc", "the finalizer frees only what no other thread can have"],
]);

function faults(file: string, text: string): string[] {
  const code = text.replace(/\/\/.*$/gm, "").replace(/R"js\([\s\S]*?\)js"/g, "");
  return forbidden.filter(({ pattern }) => pattern.test(code)).map(({ what }) => `${file}: ${what}`);
}

test("no file of the addon reads, converts, throws or lends memory in a way that could end the process", () => {
  expect(files.length).toBeGreaterThan(30);
  const found = files.flatMap((file) => faults(file, readFileSync(join(addon, file), "utf8")));
  expect(found.filter((each) => !allowed.has(each.split(":")[0]!))).toEqual([]);
  // No entry of the table is there for nothing, and none excuses what it does not speak of.
  expect(found.filter((each) => allowed.has(each.split(":")[0]!)).sort()).toEqual([
    "argument.cc: throwing while an exception may be pending",
    "environment.cc: throwing while an exception may be pending",
    "error.cc: throwing while an exception may be pending",
    "json_value.cc: reading elsewhere than in property.cc",
    "memory.cc: memory that is freed though another thread may have it",
    "package_memory.cc: memory that is freed though another thread may have it",
    "property.cc: reading elsewhere than in property.cc",
  ]);
});

test.each([
  ['const double expected = given.Get("expectedBytes").ToNumber();'],
  ['const bool wide = cut->Get("wide").ToBoolean();'],
  ["const Napi::Value slot = slots_.Get(next_++);"],
  ['napi_get_named_property(env, buffer, "resizable", &resizable);'],
  ["napi_create_external_buffer(env, size, data, Free, nullptr, &buffer);"],
])("%s is found", (line) => {
  expect(faults("seal.cc", line)).not.toEqual([]);
});
