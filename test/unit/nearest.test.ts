/** The word that was probably meant, and that what was written is never shown. */
import { didYouMean, nearest } from "../../lib/nearest.js";

const commands = ["chat", "keys", "router", "proxy", "doctor", "attest", "receipt", "bench"];

test.each<[string, readonly string[], string | undefined]>([
  ["chta", commands, "chat"],
  ["doktor", commands, "doctor"],
  ["attestation", commands, "attest"],
  ["rec", commands, "receipt"],
  ["required", ["off", "report", "require"], "require"],
  ["baseURL", ["apiKey", "baseUrl"], "baseUrl"],
  ["api_key", ["apiKey", "baseUrl"], "apiKey"],
  ["--api-key", ["--base-url", "--api-key-file", "--key-dir"], "--api-key-file"],
  ["--quite", ["--quiet", "--json"], "--quiet"],
  // The nearer one wins, whatever the order.
  ["keyPasswort", ["keyDir", "keyPassword"], "keyPassword"],
])("%s of %j: %s", (given, candidates, expected) => {
  expect(nearest(given, candidates)).toBe(expected);
  expect(nearest(given, [...candidates].reverse())).toBe(expected);
});

test.each<[string, unknown]>([
  ["something else", "frobnicate"],
  ["nothing", ""],
  ["one letter", "c"],
  ["what is too long to be a name", `chat${"t".repeat(100_000)}`],
  ["a number", 7],
  ["an object that says it is a text", { toString: () => "chat" }],
])("%s is near to none", (_what, given) => {
  expect(nearest(given, commands)).toBeUndefined();
  expect(didYouMean(given, commands)).toBe("");
});

test("only the candidate is shown", () => {
  expect(didYouMean("chta", commands)).toBe(' Did you mean "chat"?');
  expect(didYouMean("--quite", ["--quiet"], "")).toBe(" Did you mean --quiet?");
});
