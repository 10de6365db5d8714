import { execFileSync } from "node:child_process";
import { ApiKeys, parseApiKeys } from "../../../lib/http/api-keys.js";

const first = "first-key-0123456789";
const second = "second-key-0123456789";

describe("ApiKeys", () => {
  test("knows its keys by number, and no others", () => {
    const keys = new ApiKeys([first, second]);
    expect(keys.open).toBe(false);
    expect(keys.identify(`Bearer ${first}`)).toBe(0);
    expect(keys.identify(`bearer  ${second} `)).toBe(1);
    expect(keys.identify(`Bearer ${first}x`)).toBeNull();
    expect(keys.identify(`Bearer ${first.slice(0, -1)}`)).toBeNull();
    expect(keys.identify(`Basic ${first}`)).toBeNull();
    expect(keys.identify(first)).toBeNull();
    expect(keys.identify("Bearer ")).toBeNull();
    expect(keys.identify(undefined)).toBeNull();
  });

  test("takes the hash that OpenSSL makes of a key", () => {
    const line = execFileSync("openssl", ["dgst", "-sha256", "-r"], { input: first, encoding: "utf8" });
    const keys = new ApiKeys([`sha256:${line.split(" ", 1)[0]!}`]);
    expect(keys.identify(`Bearer ${first}`)).toBe(0);
    expect(keys.identify(`Bearer ${second}`)).toBeNull();
  });

  test("does not take the hash itself for the key", () => {
    const hashed = `sha256:${"ab".repeat(32)}`;
    expect(new ApiKeys([hashed]).identify(`Bearer ${hashed}`)).toBeNull();
  });

  test.each(["short", "", "with a space in it", "umlaut-ä-0123456789"])("refuses %j and does not repeat it", (key) => {
    expect(() => new ApiKeys([first, key])).toThrow(/^API key number 2 is not usable/);
    if (key !== "") {
      expect(() => new ApiKeys([key])).not.toThrow(new RegExp(key));
    }
  });

  test("no keys: open", () => {
    expect(new ApiKeys([]).open).toBe(true);
  });
});

test("parseApiKeys takes lines or commas, and skips empty lines and remarks", () => {
  expect(parseApiKeys(`# clinic A\n${first}\r\n\n  ${second}  \n`)).toEqual([first, second]);
  expect(parseApiKeys(`${first},${second}`)).toEqual([first, second]);
});
