/**
 * A client whose disk is full at one moment: `full-disk.cjs WHAT FOLDER URL KEYS`. The kernel is told to let no file
 * grow over a length (RLIMIT_FSIZE), which is what a full disk does, at a byte that is chosen; then as long as it
 * likes. Prints what became of each attempt.
 */
const { execFileSync } = require("node:child_process");
const { readdirSync } = require("node:fs");
const { join } = require("node:path");
const nomyo = require("../../../dist/index.js");

// Secret memory is a file of the kernel's, which the limit would keep from growing too.
nomyo.setMemoryMechanism("mlock");
const [, , what, folder, baseUrl, keyDir] = process.argv;
const letGrow = (bytes) => execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${bytes}:`]);
const own = {
  keys: { keyDir: join(folder, "keys") },
  "known servers": { keyDir, serverKey: { knownServersFile: join(folder, "known") } },
  receipts: { keyDir, receipts: folder },
}[what];
const messages = [{ role: "user", content: "QUOKKA" }];

async function attempt(client) {
  try {
    const { choices } = await client.create({ model: "m", messages });
    return choices[0].message.content.includes("QUOKKA") ? "answer" : "another answer";
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  }
}

(async () => {
  const tried = [];
  // A key takes its time to make: one will do.
  for (const bytes of what === "keys" ? [100] : [0, 100]) {
    const client = new nomyo.SecureChatCompletion({ baseUrl, allowHttp: true, apiKey: null, maxRetries: 0, ...own });
    if (what !== "keys") await client.ready();
    letGrow(bytes);
    const full = await attempt(client);
    const left = readdirSync(folder, { recursive: true }).map(String).sort();
    letGrow("unlimited");
    tried.push({ full, left, then: await attempt(client) });
    await client.close();
  }
  process.stdout.write(JSON.stringify(tried));
})();
