/** Errors in the words of the command line. */
import { errorText, flags } from "../../../lib/cli/error-text.js";
import { APIError, ConfigurationError, ServiceUnavailableError } from "../../../lib/errors.js";
import { CHAT_HELP } from "../../../lib/cli/chat.js";
import { ROUTER_HELP } from "../../../lib/cli/router.js";

test("each option has a flag that a command has", () => {
  for (const [option, flag] of Object.entries(flags)) {
    expect([option, CHAT_HELP.includes(flag) || ROUTER_HELP.includes(flag)]).toEqual([option, true]);
  }
});

test.each([
  ["chat", "`allowHttp`: plain HTTP is refused", "--allow-http: plain HTTP is refused"],
  ["chat", "add it to `serverKey.fingerprints`.", "add it to --pin."],
  ["chat", "no `keyPassword` was given", "no --key-password-file was given"],
  ["keys", "no `keyPassword` was given", "no --password-file or --ask-password was given"],
  ["router", "set allowOpen, or apiKeys", "set --allow-open, or --api-keys-file"],
  ["router", "upstream.allowHttp", "--upstream-allow-http"],
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
