/** docs/configuration.md has a row for every option of a client, and says the default that it has. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { clientOptions, requestOptions, resolveClientOptions, serverKeyOptions } from "../../lib/client/options.js";

const page = readFileSync(join(__dirname, "../../docs/configuration.md"), "utf8");
const section = page.split("\n## `new SecureChatCompletion(options)`")[1]!.split("\n\n**")[0]!;
const rows = section
  .split("\n")
  .filter((line) => line.startsWith("| `"))
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .map(([, name, otherwise]) => [name!.replaceAll("`", ""), otherwise!] as const);

/** A default as the table of options has it, as the page writes it. */
function written(name: string, parser: object): string {
  const { otherwise } = parser as { readonly otherwise?: boolean | number | string | object };
  if (otherwise === undefined) return "none";
  if (typeof otherwise === "boolean") return `\`${otherwise}\``;
  if (typeof otherwise === "string") return name === "baseUrl" ? `\`${otherwise}\`` : `\`"${otherwise}"\``;
  if (typeof otherwise === "object") throw new Error(`${name} has a default that the page cannot write`);
  const digits = String(otherwise);
  const number = digits.length < 5 ? digits : digits.replace(/\B(?=(\d{3})+$)/g, " ");
  return /^(timeout|keyRotationInterval|serverKey\.cacheTtl)$/.test(name) ? `${number} ms` : number;
}

test("every option has its row, with its default, and there is no other row", () => {
  const { serverKey: _nested, apiKey: _variable, ...plain } = clientOptions;
  const all: Record<string, object> = { ...plain };
  for (const [name, parser] of Object.entries(serverKeyOptions)) all[`serverKey.${name}`] = parser;
  const expected = Object.entries(all).map(([name, parser]) => [name, written(name, parser)]);
  expect(rows.filter(([name]) => name !== "apiKey").sort()).toEqual(expected.sort());
});

test("the API key is the one option that is read from the environment", () => {
  expect(rows.find(([name]) => name === "apiKey")).toEqual(["apiKey", "`NOMYO_API_KEY`"]);
  const former = process.env["NOMYO_API_KEY"];
  process.env["NOMYO_API_KEY"] = "from the environment";
  try {
    expect(clientOptions.apiKey.otherwise).toBe("from the environment");
  } finally {
    if (former === undefined) delete process.env["NOMYO_API_KEY"];
    else process.env["NOMYO_API_KEY"] = former;
  }
});

test("the options of one request are all named", () => {
  const [, sentence] = /`create\(body, options\)` takes ([^]*?)\. They win/.exec(page)!;
  const named = [...sentence!.matchAll(/`(\w+)`/g)].map(([, name]) => name);
  const table = requestOptions(resolveClientOptions({ secureMemory: "off" }));
  expect(named.sort()).toEqual(Object.keys(table).sort());
});
