// Requests through client, router and SDK fetch, all in this process: regexp-statics.cjs KEYFILE. Prints, as JSON,
// where a secret met a regular expression: `statics` that hold one at any moment looked at, and `inputs`, what matched
// one of the package's.
const { createServer } = require("node:http");
const { randomBytes } = require("node:crypto");
const { join } = require("node:path");

const dist = join(__dirname, "../../../dist");
const { createSecureFetch, SecureBuffer, SecureChatCompletion } = require(join(dist, "index.js"));
const { startRouter } = require(join(dist, "router/index.js"));

const secret = (name) => `${name}-${randomBytes(24).toString("hex")}`;
const secrets = {
  apiKey: secret("key"),
  upstreamKey: secret("upstream"),
  prompt: secret("prompt"),
  answer: secret("answer"),
};
const found = { statics: [], inputs: [], looks: 0 };
const namesIn = (text) => Object.entries(secrets).flatMap(([name, value]) => (text.includes(value) ? [name] : []));

const names = [
  "input",
  "lastMatch",
  "lastParen",
  "leftContext",
  "rightContext",
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `$${n}`),
];
/** Node's own regular expressions are seen here too. */
function look(moment) {
  found.looks++;
  for (const name of names)
    for (const which of namesIn(RegExp[name])) found.statics.push(`${moment}: ${which} in ${name}`);
}

// All methods of strings and regular expressions call it, when it is not the one of the beginning.
const { exec } = RegExp.prototype;
RegExp.prototype.exec = function (text) {
  const match = exec.call(this, text);
  // What does not match leaves nothing: so does Node look for characters that no header may have.
  if (match !== null) for (const which of namesIn(String(text))) found.inputs.push(`${which}: ${this.source}`);
  return match;
};
// Both ways of looking must find what is there.
/prompt/.test(`a ${secrets.prompt}`);
look("control");
const control = { statics: found.statics.splice(0).length, inputs: found.inputs.splice(0).length };
/nothing/.exec("nothing");

// eslint-disable-next-line max-lines-per-function -- one client's life from start to end, with a look after each step
async function main([keyFile]) {
  const upstream = createServer((request, response) => {
    look("upstream");
    request.resume().on("end", () => {
      const message = { role: "assistant", content: `call it ${secrets.answer}` };
      response.end(
        JSON.stringify({ object: "chat.completion", choices: [{ index: 0, message, finish_reason: "stop" }] }),
      );
    });
  });
  await new Promise((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const common = {
    keyFile,
    apiKeys: [secrets.apiKey, `sha256:${"0".repeat(64)}`],
    stopTimeoutMs: 0,
    accessLog: () => look("router"),
  };
  const routers = [
    await startRouter(common),
    await startRouter({
      ...common,
      upstream: { url: `http://127.0.0.1:${upstream.address().port}`, apiKey: secrets.upstreamKey },
    }),
  ];
  const tools = [
    {
      type: "function",
      function: { name: secrets.prompt, parameters: { type: "object", required: ["x"], properties: {} } },
    },
  ];
  for (const router of routers) {
    const settings = { baseUrl: router.url, allowHttp: true, apiKey: secrets.apiKey, keyRotationInterval: 0 };
    const client = new SecureChatCompletion(settings);
    look("client made");
    const long = `${"x ".repeat(100)}${secrets.prompt}`;
    for (const content of [
      secrets.prompt,
      long,
      SecureBuffer.from(secrets.prompt),
      `call ${secrets.prompt} {"a": 1}`,
    ]) {
      for (const more of [{}, { max_tokens: 3 }, { tools }]) {
        await client.create({ model: "m", messages: [{ role: "user", content }], ...more });
        look("created");
      }
    }
    const answer = await client.createSecure({ model: "m", messages: [{ role: "user", content: secrets.prompt }] });
    answer.text();
    answer.json();
    answer.dispose();
    look("created in the pool");
    await client.close();
    const secureFetch = createSecureFetch(settings);
    for (const stream of [false, true]) {
      const response = await secureFetch(`${router.url}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${secrets.apiKey}` },
        body: JSON.stringify({ model: "m", stream, messages: [{ role: "user", content: secrets.prompt }] }),
      });
      found.answered =
        (found.answered ?? 0) + ((await response.text()).includes(secrets.prompt) || router === routers[1] ? 1 : 0);
      look("fetched");
    }
    await secureFetch.close();
  }
  for (const router of routers) await router.close();
  upstream.close();
  console.log(JSON.stringify({ control, ...found }));
}

void main(process.argv.slice(2));
