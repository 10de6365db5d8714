// `next start` on a port that the system chooses, and one request to the route.
import { spawn } from "node:child_process";
import { once } from "node:events";

const server = spawn(process.execPath, ["node_modules/next/dist/bin/next", "start", "-p", "0"]);
let said = "";
let port;
server.stderr.on("data", (text) => (said += text));
for await (const text of server.stdout) {
  said += text;
  port = /localhost:(\d+)/.exec(said)?.[1];
  if (port !== undefined) break;
}
try {
  if (port === undefined) throw new Error(said);
  const answer = await (await fetch(`http://127.0.0.1:${port}/api/ask`)).text();
  if (!answer.includes("through a bundle")) throw new Error(answer + said);
} finally {
  server.kill();
  await once(server, "exit");
}
