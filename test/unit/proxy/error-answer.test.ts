import { AttestationError } from "../../../lib/attestation/attestation-error.js";
import type { AttestationReport } from "../../../lib/attestation/report.js";
import * as errors from "../../../lib/errors.js";
import { RequestFormatError } from "../../../lib/http/http-request.js";
import { Refusal } from "../../../lib/http/refusal.js";
import { ReceivedHeaders } from "../../../lib/http/received-headers.js";
import { answerFor } from "../../../lib/proxy/error-answer.js";

const sent = <E extends errors.NomyoError>(error: E, how: errors.Sent): E => {
  error.sent = how;
  return error;
};
const apiError = (statusCode: number, headers: string[] = []): errors.APIError =>
  new errors.APIError(`${statusCode}: no`, { statusCode, headers: new ReceivedHeaders(headers), sent: "yes" });

test.each<[string, unknown, number, string, boolean]>([
  ["a broken answer", sent(new errors.SecurityError("m", "DECRYPT"), "yes"), 424, "DECRYPT", true],
  ["a wrong pin", sent(new errors.SecurityError("m", "KEY_PIN"), "no"), 424, "KEY_PIN", true],
  ["no connection", new errors.APIConnectionError("m", { sent: "no", code: "CONNECTION" }), 502, "CONNECTION", false],
  [
    "a broken connection",
    new errors.APIConnectionError("m", { sent: "maybe", code: "CONNECTION" }),
    502,
    "CONNECTION",
    true,
  ],
  ["a time-out", new errors.APIConnectionTimeoutError("m", { sent: "maybe", code: "TIMEOUT" }), 504, "TIMEOUT", true],
  ["no memory", sent(new errors.MemoryProtectionError("m"), "no"), 503, "MEMORY_LOCK", false],
  ["a success that was not sealed", apiError(204), 424, "API_ERROR", true],
  ["a redirect", apiError(302), 424, "API_ERROR", true],
  ["a failed server", apiError(500), 500, "API_ERROR", true],
  ["a rate limit", apiError(429), 429, "API_ERROR", false],
  ["a setting", new errors.ConfigurationError("apiKey", "m"), 500, "CONFIGURATION", true],
  ["a request that is none", new RequestFormatError("m", 431), 431, "HTTP_FORMAT", false],
  ["a refusal of the proxy's", new Refusal(413, "m"), 413, "TOO_LARGE", false],
])("%s: %s", (_name, error, status, code, final) => {
  const answer = answerFor(error)!;
  expect(answer.status).toBe(status);
  expect(answer.headers["x-should-retry"]).toBe(final ? "false" : undefined);
  const { error: body } = JSON.parse(Buffer.from(answer.body as Uint8Array).toString()) as { error: object };
  expect(body).toMatchObject({ code, param: null, message: expect.any(String), type: expect.any(String) });
});

test("a quote that did not verify has its report beside it", () => {
  const report = { verified: false, code: "NONCE_MISMATCH" } as AttestationReport;
  const { body } = answerFor(new AttestationError("m", "NONCE_MISMATCH", report))!;
  expect(JSON.parse(Buffer.from(body as Uint8Array).toString())).toMatchObject({
    error: { type: "security_error", code: "NONCE_MISMATCH", attestation_report: report },
  });
});

test("Retry-After goes on as it came, unless it is no text for a header", () => {
  expect(answerFor(apiError(503, ["Retry-After", "7"]))!.headers["retry-after"]).toBe("7");
  expect(answerFor(apiError(503, ["Retry-After", "7\r\nX: y"]))!.headers["retry-after"]).toBeUndefined();
});

test("an error that should not be is not told", () => {
  expect(answerFor(new Error("a prompt"))).toBeUndefined();
});
