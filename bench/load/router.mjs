// The local router in a process of its own. Prints its URL; on each line of standard input, the CPU time it has used so far (milliseconds).
import { createInterface } from "node:readline";
import { startRouter } from "../../dist/router/index.js";

const router = await startRouter({ port: 0, maxRequests: 1000 });
process.stdout.write(`${JSON.stringify({ url: router.url })}\n`);
const questions = createInterface({ input: process.stdin });
questions.on("line", () => {
  const { user, system } = process.cpuUsage();
  process.stdout.write(`${JSON.stringify({ cpuMs: (user + system) / 1000, rss: process.memoryUsage().rss })}\n`);
});
questions.on("close", () => router.close());
