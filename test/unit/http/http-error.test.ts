/** What a server writes into an error's body decides nothing about the error. */
import { ownError } from "../../../lib/client/own-error.js";
import { ServiceUnavailableError } from "../../../lib/errors.js";
import { httpError } from "../../../lib/http/http-error.js";
import type { TransportResponse } from "../../../lib/http/transport.js";

const answer = (text: string): TransportResponse => {
  const body = (async function* () {
    yield await Promise.resolve(Buffer.from(text));
  })();
  return { status: 503, headers: new Headers(), body, discard: () => undefined } as unknown as TransportResponse;
};
const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);

test("details of the deepest nesting that is a value", async () => {
  expect((await httpError(answer(nested(64)), { sent: "no" })).errorDetails).toEqual(JSON.parse(nested(64)));
});

test.each([65, 32_000])(
  "details nested %d deep stay text, and everybody gets his own error of the class",
  async (depth) => {
    const error = await httpError(answer(nested(depth)), { sent: "no" });
    expect(error.errorDetails).toBe(nested(depth));
    const own = ownError(error) as ServiceUnavailableError;
    expect(own).toBeInstanceOf(ServiceUnavailableError);
    expect([own.sent, own.statusCode, own.errorDetails]).toEqual(["no", 503, nested(depth)]);
  },
);
