/**
 * A client in a process that gets no more descriptors for a while: `few-descriptors.cjs URL FOLDER`. A line `limit N`
 * asks the parent for another limit, since a process without descriptors can start none that would raise it; the last
 * line is what became of each request.
 */
const { readdirSync, readFileSync, readSync, writeSync } = require("node:fs");
const nomyo = require("../../../dist/index.js");

const [, , baseUrl, folder] = process.argv;
const allow = (count) => {
  writeSync(1, `limit ${count}\n`);
  readSync(0, Buffer.alloc(1));
};
const options = { baseUrl, allowHttp: true, apiKey: null, maxRetries: 0, receipts: folder };
const messages = [{ role: "user", content: "QUOKKA" }];

async function attempt(client) {
  try {
    const { choices } = await client.create({ model: "m", messages });
    return choices[0].message.content.includes("QUOKKA") ? "answer" : "another answer";
  } catch (error) {
    return { name: error.name, message: error.message, ours: error instanceof nomyo.NomyoError };
  }
}

(async () => {
  const client = new nomyo.SecureChatCompletion(options);
  await client.ready();
  const [, most] = /Max open files +(\d+)/.exec(readFileSync("/proc/self/limits", "latin1"));
  const told = [];
  // First none at all, then some: it fails at another place each time, before the key's fetch, the request, or the
  // receipt's file.
  const last = Math.max(...readdirSync("/proc/self/fd").map(Number));
  for (const limit of [3, last, last + 1, last + 2, last + 4]) {
    allow(limit);
    const scarce = await attempt(client);
    allow(most);
    told.push({ scarce, then: await attempt(client) });
  }
  await client.close();
  writeSync(1, `${JSON.stringify(told)}\n`);
})();
