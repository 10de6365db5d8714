// From nothing to a client, in a fresh process. Both names resolve as they do for users.
import { output, timed } from "./processes.mjs";

const starts = {
  native: `
    const { SecureChatCompletion } = await import("nomyo-native");
    const imported = performance.now();
    const client = new SecureChatCompletion({ apiKey: null });
    const constructed = performance.now();
    const ready = process.argv[1] === "ready" ? await client.ready().then(() => performance.now() - begin) : undefined;
    console.log(JSON.stringify({ import: imported - begin, construct: constructed - imported, ready }));
    await client.close();`,
  openai: `
    const { default: OpenAI } = await import("openai");
    const imported = performance.now();
    new OpenAI({ apiKey: "none" });
    console.log(JSON.stringify({ import: imported - begin, construct: performance.now() - imported }));`,
};

/** Each turn three processes, and one more for `--version`. */
export async function processStart(name, folder) {
  const node = (...args) => output(process.execPath, args, { cwd: folder });
  const script = `const begin = performance.now();${starts[name]}`;
  const one = async (until) => JSON.parse(await node("--input-type=module", "--eval", script, "--", until));
  // A key takes seconds: one of them waits for it.
  const all = [await one("none"), await one("none"), await one("ready")];
  const middle = all.map(({ construct }) => construct).sort((a, b) => a - b)[1];
  const figures = { samples: all.map((each) => each.import), construct: middle };
  if (name !== "native") return figures;
  return { ...figures, ready: all[2].ready, version: await timed(() => node("dist/cli/main.js", "--version")) };
}
