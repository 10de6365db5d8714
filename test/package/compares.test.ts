/**
 * docs/timing.md against the code: every comparison in constant time that it lists is there, and none is anywhere
 * else.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = join(__dirname, "../..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const page = read("docs/timing.md");

const sources = ["lib", "native/core", "native/addon"]
  .flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, String(name))))
  .filter((path) => /\.(ts|cc|h)$/.test(path));
const withCall = (call: RegExp): string[] => sources.filter((path) => call.test(read(path))).sort();

test("each file that compares in constant time has its row, and each row its file", () => {
  const files = withCall(/\b(timingSafeEqual|CRYPTO_memcmp)\(/);
  const named = [...page.matchAll(/^\| [^|]+\| `([^`]+)`[^|]*\| `(?:timingSafeEqual|CRYPTO_memcmp)`/gm)].map(
    ([, path]) => path,
  );
  expect(named.sort()).toEqual(files);
});

test("memory is compared in other ways only where the page says that it is no secret", () => {
  const files = withCall(/\b(std::memcmp|memcmp|std::ranges::equal|std::equal)\(/);
  const [, open = ""] = page.split("## What is compared as it comes");
  for (const path of files) expect([path, open.includes(`\`${path}\``)]).toEqual([path, true]);
});
