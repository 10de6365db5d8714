/** What the proxy shows of the server's attestation: no more than is so. */
import { AttestationError } from "../../../lib/attestation/attestation-error.js";
import type { AttestationReport } from "../../../lib/attestation/report.js";
import type { AnswerMetadata } from "../../../lib/chat/chat-types.js";
import { AttestationView } from "../../../lib/proxy/attestation-view.js";

const report = { verified: true, trust: "certified", checks: [] } as unknown as AttestationReport;
const text = (view: AttestationView, asPage: boolean) => Buffer.from(view.answer(asPage).body as Uint8Array).toString();
const shown = (view: AttestationView): unknown => JSON.parse(text(view, false));

test("an answer that was refused though its quote verified is not shown as attested", () => {
  const view = new AttestationView("https://server", "require");
  view.answered({ attestation_report: report } as AnswerMetadata);
  expect(shown(view)).toMatchObject({ state: "verified" });
  view.failed(new AttestationError("There is no binding.", "BINDING_MISSING", report));
  expect(shown(view)).toMatchObject({ state: "refused", sentence: expect.stringContaining("BINDING_MISSING") });
  expect(text(view, true)).toContain("BINDING_MISSING");
  view.answered({ attestation_report: report } as AnswerMetadata);
  expect(shown(view)).toMatchObject({ state: "verified" });
});
