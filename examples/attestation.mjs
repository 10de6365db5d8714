// node examples/attestation.mjs [BASE_URL]
// It wants a server with a TPM. `scripts/demo` starts a router with a software TPM by itself; to have one to try this
// with:
//   mkdir -p tpm && swtpm socket --tpm2 --tpmstate dir=tpm --flags not-need-init,startup-clear \
//     --server type=unixio,path=tpm/sock --ctrl type=unixio,path=tpm/sock.ctrl &
//   npx nomyo-native router --port 8443 --tcti swtpm:path=tpm/sock
//   NOMYO_API_KEY=any node examples/attestation.mjs http://127.0.0.1:8443
import { AttestationError, SecureChatCompletion } from "nomyo-native";

const baseUrl = process.argv[2] ?? "https://api.nomyo.ai";
const client = new SecureChatCompletion({
  baseUrl,
  allowHttp: baseUrl.startsWith("http://127.0.0.1"),
  attestation: {
    version: 1,
    mode: "require",
    preflight: true, // a quote is verified before the first prompt leaves
    maxAgeMs: 300_000,
    banks: ["sha256"],
    required: { sha256: [0, 7, 10] },
    // profiles: […] – make them with `nomyo-native attest baseline`, and look at them before you use them
  },
});

try {
  const { choices, _metadata } = await client.create({
    model: "Qwen/Qwen3-0.6B",
    messages: [{ role: "user", content: "Hello" }],
    security_tier: "maximum",
  });
  const { quote, trust } = _metadata.attestation_report;
  console.log(choices[0].message.content);
  console.log(`quote verified: ${quote.pcrSelection}, ${trust}`);
} catch (error) {
  if (!(error instanceof AttestationError)) throw error;
  console.log(`not accepted (${error.code}), prompt sent: ${error.sent}`);
  if (error.code === "ATTESTATION_MISSING") {
    console.log("This server has no TPM: the first lines of this file say how to start a router that has one.");
  }
  for (const check of error.report.checks) console.log(check.ok === false ? "✗" : " ", check.code, check.detail);
}
await client.close();
