/** docs/protocol.md and docs/errors.md say of every HTTP status which class it becomes and whether it is retried. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { retryDelay } from "../../lib/client/retry.js";
import type { APIError } from "../../lib/errors.js";
import { httpError } from "../../lib/http/http-error.js";

const table = (page: string, heading: string): string[][] =>
  readFileSync(join(__dirname, "../../docs", page), "utf8")
    .split(heading)[1]!
    .trim()
    .split("\n\n")
    .find((block) => block.startsWith("|"))!
    .split("\n")
    .slice(2)
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

interface Row {
  readonly Class: string;
  readonly retried: boolean;
}
const word = (cell: string): string => /^`(\w+)`/.exec(cell)![1]!;
const yes = (cell: string): boolean => {
  if (/^(yes|no\b.*|never)$/.test(cell)) return cell === "yes";
  throw new Error(`neither yes nor no: ${cell}`);
};

/** Of docs/protocol.md: each status that has a row, and what holds for every other. */
const named = new Map<number, Row>();
let other: Row | undefined;
for (const [what, Class, retried] of table("protocol.md", "\n## 4. Errors\n")) {
  const row = { Class: word(Class!), retried: yes(retried!) };
  if (what!.startsWith("every other")) other = row;
  else if (/^\d/.test(what!)) for (const status of what!.split(", ")) named.set(Number(status), row);
}

const statuses = Array.from({ length: 500 }, (_, at) => at + 100).filter((status) => status !== 200);
async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* [];
}
const errorFor = (status: number): Promise<APIError> =>
  httpError({ status, headers: new Headers(), body: nothing() }, { sent: "yes" });
const sentence = (error: APIError): string => error.message.replace(/^\d+/, "");

test("there are rows to compare with", () => {
  expect(named.size).toBeGreaterThan(7);
  expect([...named.values()].map(({ retried }) => retried)).toEqual(expect.arrayContaining([true, false]));
  expect(other).toEqual({ Class: "APIError", retried: false });
});

test("docs/protocol.md says which class each status becomes, and whether it is retried", async () => {
  const wrong: string[] = [];
  for (const status of statuses) {
    const error = await errorFor(status);
    const is: Row = { Class: error.constructor.name, retried: retryDelay(error, 1) !== undefined };
    const said = named.get(status) ?? other!;
    if (is.Class !== said.Class || is.retried !== said.retried) {
      wrong.push(`${status}: ${JSON.stringify(is)}, and the page says ${JSON.stringify(said)}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("a status has a sentence of its own if it has a row, or is a redirect", async () => {
  const unknown = sentence(await errorFor(599));
  const known: number[] = [];
  for (const status of statuses) if (sentence(await errorFor(status)) !== unknown) known.push(status);
  const redirects = statuses.filter((status) => status >= 300 && status < 400);
  expect(known).toEqual([...named.keys(), ...redirects].sort((one, two) => one - two));
});

test("docs/errors.md says the same of its classes", async () => {
  const classes = table("errors.md", "# Errors\n");
  for (const [status, row] of named) {
    const [Class, , answer] = classes.find(([name]) => name!.startsWith(`\`${row.Class}\` (`)) ?? [];
    expect(Class).toContain(row.Class === "APIError" ? "and others" : `(${status})`);
    // Of a class for several statuses the page names those that are retried.
    const said = /\d/.test(answer!) ? answer!.includes(String(status)) : answer!.startsWith("yes");
    expect([status, said]).toEqual([status, row.retried]);
  }
});
