// scripts/fuzz-seeds.mjs FOLDER: seeds for the fuzzers, out of test/vectors, so that none is kept twice. The first byte
// says which reader it is for.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [folder] = process.argv.slice(2);
const vectors = join(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../test/vectors");
const write = (target, name, bytes) => {
  mkdirSync(join(folder, target), { recursive: true });
  writeFileSync(join(folder, target, name), bytes);
};
const tagged = (tag, bytes) => Buffer.concat([Buffer.from(tag), Buffer.from(bytes)]);
const each = (kind, use) => {
  for (const name of readdirSync(join(vectors, kind))) use(name, readFileSync(join(vectors, kind, name)));
};

each("packages", (name, bytes) => {
  const { body_b64, plaintext_b64 } = JSON.parse(bytes);
  if (body_b64 !== undefined && body_b64.length < 20_000) write("package", name, Buffer.from(body_b64, "base64"));
  if (plaintext_b64 === undefined || plaintext_b64.length > 8_000) return;
  const plaintext = Buffer.from(plaintext_b64, "base64");
  write("json", name, plaintext);
  for (const tag of ["s", "e", "c"]) write("body", `${tag}-${name}`, tagged(tag, plaintext));
});
each("keys", (name, bytes) => {
  if (!name.endsWith(".pem")) return;
  for (const tag of ["m", "k", "p", "e"]) write("pem", `${tag}-${name}`, tagged(tag, bytes));
  write("pem", `d-${name}`, tagged("d", Buffer.from(String(bytes).replace(/-----[^-]*-----/g, ""), "base64")));
});
each("attestation", (name, bytes) => {
  const block = JSON.parse(bytes).block ?? JSON.parse(bytes).tpm_attestation ?? {};
  for (const [tag, member] of Object.entries({ q: "quote_b64", s: "signature_b64", p: "aik_pubkey_b64" })) {
    if (typeof block[member] === "string")
      write("structures", `${tag}-${name}`, tagged(tag, Buffer.from(block[member], "base64")));
  }
});

const tool = {
  type: "function",
  function: {
    name: "f",
    parameters: { type: "object", properties: { a: { type: "integer" }, b: { enum: ["x"] } }, required: ["a", "b"] },
  },
};
const asked = {
  model: "m",
  stream: true,
  messages: [{ role: "user", content: [{ type: "text", text: "call f {}" }] }],
  tools: [tool],
  tool_choice: "required",
};
const answer = {
  id: "a",
  created: 1,
  model: "m",
  _metadata: { x: 1 },
  usage: { total_tokens: 3 },
  choices: [
    {
      index: 0,
      finish_reason: "tool_calls",
      message: {
        role: "assistant",
        content: "é\n",
        tool_calls: [{ id: "c", type: "function", function: { name: "f", arguments: "{}" } }],
      },
      logprobs: null,
    },
  ],
};
const schema = {
  ...asked,
  tools: undefined,
  tool_choice: undefined,
  n: 2,
  logprobs: true,
  top_logprobs: 1,
  max_tokens: 3,
  response_format: {
    type: "json_schema",
    json_schema: {
      name: "n",
      schema: {
        $defs: { t: { type: "array", items: { type: "string", minLength: 2 }, minItems: 2 } },
        type: "object",
        properties: { a: { $ref: "#/$defs/t" } },
        required: ["a"],
      },
    },
  },
};
for (const [name, value] of Object.entries({ asked, answer, schema })) {
  for (const tag of ["s", "e", "c"]) write("body", `${tag}-${name}`, tagged(tag, JSON.stringify(value)));
  write("json", name, JSON.stringify(value));
}
write("writer", "latin1", Buffer.from('\x10\x00a"\\\n\x1f\xe4b', "latin1"));
write("writer", "wide", Buffer.from("\x02\x01\xd8\x3d\xde\x00\x00a\xd8\x00\x00\x22\xdc\x00", "latin1"));
write("base64", "some", "QUJDRA==");
write("pool", "mixed", Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 37 + (i >> 3)) & 255)));
