import { resolveClientOptions } from "../../lib/client/options.js";
import { bearerCredential, isPrintableWord } from "../../lib/printable.js";
import { ApiKeys, parseApiKeys } from "../../lib/http/api-keys.js";

test.each<[string, boolean]>([
  ["", false],
  ["!", true],
  ["~", true],
  ["a b", false],
  ["a\x7f", false],
  ["a\n", false],
  ["é", false],
  ["sk-0123456789", true],
])("%j is a printable word: %s", (text, is) => expect(isPrintableWord(text)).toBe(is));

test.each<[string | null | undefined, string | undefined]>([
  [undefined, undefined],
  [null, undefined],
  ["", undefined],
  ["Bearer", undefined],
  ["Bearer ", undefined],
  ["Bearer key", "key"],
  ["bEARER   key  ", "key"],
  ["Basic key", undefined],
  ["Bearerkey", undefined],
])("the credential of %j", (header, credential) => expect(bearerCredential(header)).toBe(credential));

test("no regular expression runs over an API key", () => {
  const key = "a-key-of-this-very-test-0123456789";
  const seen = (): string => (RegExp as unknown as { $_: string }).$_;
  /x/.exec("x");
  resolveClientOptions({ apiKey: key, baseUrl: "https://router.invalid" });
  expect(seen()).not.toContain(key);
  const keys = new ApiKeys(parseApiKeys(`# comment\r\n${key},other-key-that-is-long-enough`));
  expect(keys.identify(`Bearer ${key}`)).toBe(0);
  expect(seen()).not.toContain(key);
});
