// From nothing to a client: fresh processes, one import each.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { summarise } from "../dist/bench/statistics.js";

/** From here both names resolve as they do for users. */
const root = fileURLToPath(new URL("..", import.meta.url));

const scripts = {
  native: `
    const begin = performance.now();
    const { SecureChatCompletion } = await import("nomyo-native");
    const imported = performance.now();
    const client = new SecureChatCompletion({ apiKey: null });
    const constructed = performance.now();
    const ready = process.argv[1] === "ready" ? await client.ready().then(() => performance.now() - begin) : undefined;
    console.log(JSON.stringify({ import: imported - begin, construct: constructed - imported, ready }));
    await client.close();`,
  openai: `
    const begin = performance.now();
    const { default: OpenAI } = await import("openai");
    const imported = performance.now();
    new OpenAI({ apiKey: "none" });
    console.log(JSON.stringify({ import: imported - begin, construct: performance.now() - imported }));`,
};

function start(contender, ...args) {
  return new Promise((resolve, reject) => {
    const command = ["--input-type=module", "--eval", scripts[contender], "--", ...args];
    const child = spawn(process.execPath, command, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (errors += data));
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve(JSON.parse(output));
      else reject(new Error(`start of ${contender} failed: ${errors.slice(-2000)}`));
    });
  });
}

/** @returns results whose samples are the import; `construct` and `ready` (with its key generated) in milliseconds beside it */
export async function processStart({ name, kind, label }, contenders, { rounds }) {
  const starts = contenders.map(() => []);
  // Files come out of the disk's cache from the second start on.
  for (const contender of contenders) await start(contender);
  for (let round = 0; round < 2 * rounds; round++) {
    for (const [index, contender] of contenders.entries()) starts[index].push(await start(contender));
  }
  const ready = [];
  if (contenders.includes("native")) {
    for (let round = 0; round < Math.ceil(rounds / 2); round++) ready.push((await start("native", "ready")).ready);
  }
  return contenders.map((contender, index) => ({
    ...{ case: name, kind, label, contender, unit: "ms" },
    ...summarise(starts[index].map((one) => one.import)),
    construct: summarise(starts[index].map((one) => one.construct)).median,
    ...(contender === "native" && { ready: summarise(ready) }),
  }));
}
