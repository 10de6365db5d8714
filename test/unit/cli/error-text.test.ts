/** Errors in the words of the command line. */
import { chatFlags, errorText, routerFlags } from "../../../lib/cli/error-text.js";
import { APIError, ConfigurationError, ServiceUnavailableError } from "../../../lib/errors.js";
import { CHAT_HELP } from "../../../lib/cli/chat.js";
import { ROUTER_HELP } from "../../../lib/cli/router.js";

describe.each<[string, Readonly<Record<string, string | null>>, string, string[]]>([
  ["chat", chatFlags, CHAT_HELP, ["--help", "--json", "--max-tokens", "--model", "--policy", "--quiet", "--system"]],
  // The help speaks of "the two --allow options".
  ["router", routerFlags, ROUTER_HELP, ["--allow", "--help", "--json"]],
])("%s", (_command, flags, help, setNoOption) => {
  const named = Object.values(flags).flatMap((flag) => flag?.split(" and ") ?? []);
  const shown = new Set(help.match(/--[a-z]+(-[a-z]+)*/g));

  test("the flag of an option is one that the command has", () => {
    expect(named.filter((flag) => !shown.has(flag))).toEqual([]);
  });

  test("a flag is that of an option, or is known to set none", () => {
    expect([...shown].filter((flag) => !named.includes(flag)).sort()).toEqual(setNoOption);
  });

  test("no option without a flag has a name that holds one with a flag, and would be torn apart", () => {
    const whole = Object.keys(flags).filter((option) => flags[option] === null);
    const parts = Object.keys(flags).filter((option) => flags[option] !== null && option !== option.toLowerCase());
    expect(whole.filter((name) => parts.some((part) => name.includes(part)))).toEqual([]);
  });
});

test.each([
  ["chat", "`allowHttp`: plain HTTP is refused", "--allow-http: plain HTTP is refused"],
  ["chat", "add it to `serverKey.fingerprints`.", "add it to --pin."],
  ["chat", "no `keyPassword` was given", "no --key-password-file was given"],
  ["keys", "no `keyPassword` was given", "no --password-file or --ask-password was given"],
  // One name holds another, and stands before or behind it in the table.
  ["router", "set maxRequests above maxRequestsPerKey", "set --max-requests above --max-requests-per-key"],
  ["router", "set allowOpen, or apiKeys", "set --allow-open, or --api-keys-file"],
  ["router", "upstream.allowHttp", "--upstream-allow-http"],
  // What a command has no flag for keeps its name.
  ["chat", "or set `rateLimit`", "or set `rateLimit`"],
  ["bench", "`secureMemory` was required", "`secureMemory` was required"],
  // A word, and the option.
  ["chat", "its timeout passed: raise `timeout`", "its timeout passed: raise --timeout"],
])("%s: %s", (command, message, expected) => {
  expect(errorText(new ConfigurationError("x", message), command)).toBe(expected);
});

test.each<[string, unknown, string]>([
  ["NOMYO's", { detail: "the model is not there" }, "The server said: the model is not there"],
  ["OpenAI's", { error: { message: "slow down" } }, "The server said: slow down"],
  ["FastAPI's", { detail: [{ msg: "field required" }] }, "The server said: field required"],
  ["text", "bad gateway", "The server said: bad gateway"],
  ["too much of it", { detail: "x".repeat(5000) }, `The server said: ${"x".repeat(400)}…`],
  ["lines", { detail: "one\ntwo\nthree\nfour" }, "The server said: one two three"],
])("shows what the server said in the form of %s", (_form, errorDetails, expected) => {
  const error = new APIError("418: No. What the server said is in `errorDetails`.", { errorDetails });
  expect(errorText(error, "chat")).toBe(`418: No. ${expected}`);
});

test("does not send people to what they do not have", () => {
  const error = new ServiceUnavailableError("503: Later. What the server said is in `errorDetails`.", {});
  expect(errorText(error, "chat")).toBe("503: Later.");
});
