/** The reading half of `Headers`, with the same results as the global class. */
import { ReceivedHeaders } from "../../../lib/http/received-headers.js";

const pairs = [
  "X-Two",
  "b",
  "content-type",
  " text/plain ",
  "x-two",
  "a",
  "Set-Cookie",
  "c=1",
  "set-cookie",
  "d=2",
  "A",
  "",
];
const theirs = new Headers();
for (let i = 0; i < pairs.length; i += 2) theirs.append(pairs[i]!, pairs[i + 1]!);

test.each([
  ["of Node's raw headers", new ReceivedHeaders(pairs)],
  ["of a fetch's", ReceivedHeaders.from(theirs)],
])("read as Headers do: %s", (_what, ours) => {
  expect([...ours]).toEqual([...theirs]);
  expect([...ours.keys()]).toEqual([...theirs.keys()]);
  expect([...ours.values()]).toEqual([...theirs.values()]);
  for (const name of ["x-two", "X-TWO", "Content-Type", "a", "nothing", "set-cookie"]) {
    expect(ours.get(name)).toBe(theirs.get(name));
    expect(ours.has(name)).toBe(theirs.has(name));
  }
  expect(ours.getSetCookie()).toEqual(theirs.getSetCookie());
  const seen: string[][] = [];
  ours.forEach((value, name) => seen.push([name, value]));
  expect(seen).toEqual([...theirs]);
  expect([...new Headers([...ours])]).toEqual([...theirs]);
});
