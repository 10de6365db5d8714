// scripts/attack-run.mjs SECONDS: the measurement of scripts/attack. As a child of its own it is the attacker.
import { execFileSync, fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { toldCommand } from "./told-command.mjs";

const require = createRequire(import.meta.url);
const MOST_TIMES = 3;
/** Connections that an attack has at a time, where it does not say another number. */
const CONNECTIONS = 64;
const apiKey = "honest-0123456789abcdef";

const post = (path, more) =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${apiKey}\r\n` +
  `Content-Type: application/json\r\n${more}\r\n`;
/** What each connection of an attack says first, and then again and again for as long as it lives. */
const attacks = {
  "slow headers": {
    connections: 1500,
    first: (path) => `POST ${path} HTTP/1.1\r\nX: `,
    then: () => "x",
    everyMs: 1_000,
  },
  "headers without end": { first: () => "GET /healthz HTTP/1.1\r\n", then: () => "X: y\r\n".repeat(500) },
  "slow bodies": { first: (path) => post(path, "Content-Length: 1000000\r\n"), then: () => " ", everyMs: 1_000 },
  "bodies without end": {
    first: (path) => post(path, "Transfer-Encoding: chunked\r\n"),
    then: () => `10000\r\n${" ".repeat(65_536)}\r\n`,
  },
  "chunks of one byte": {
    first: (path) => post(path, "Transfer-Encoding: chunked\r\n"),
    then: () => "1\r\n \r\n".repeat(1_000),
  },
  "guesses of API keys": {
    first: (path) => post(path, "Content-Length: 0\r\n").replace(apiKey, `wrong-${Math.random()}`),
  },
  "requests behind requests": { first: () => "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000) },
  "what is not HTTP": { first: () => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".padEnd(300, "\xff") },
};

if (process.send === undefined) await lead();
else process.once("message", attack);

function attack({ port, path, name }) {
  const { first, then, everyMs, connections = CONNECTIONS } = attacks[name];
  let made = 0;
  let open = 0;
  const another = () => {
    const socket = net.connect(port, "127.0.0.1");
    made += 1;
    open += 1;
    if (open === Math.min(connections, CONNECTIONS)) process.send("under way");
    socket.on("error", () => undefined);
    socket.on("data", () => undefined);
    socket.once("connect", () => {
      socket.write(Buffer.from(first(path), "latin1"));
      if (then === undefined) return;
      const more = () => {
        if (socket.destroyed) return;
        socket.write(then(), () => (everyMs === undefined ? setImmediate(more) : setTimeout(more, everyMs)));
      };
      more();
    });
    // It has no more connections at a time than it began with: a thousand a second would be its own machine's limit.
    socket.once("close", () => {
      open -= 1;
      setTimeout(another, 5);
    });
  };
  for (let i = 0; i < connections; i += 1) another();
  process.once("message", () => process.send(made, () => process.exit()));
}

/** What a process has had of its processors, in hundredths of a second (proc(5), utime and stime). */
function ticks(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

/** Router and proxy as processes with an API key, and how an honest request is asked of each. */
async function stage() {
  const { SecureChatCompletion } = require("../dist/index.js");
  const folder = mkdtempSync(join(tmpdir(), "attack-"));
  const keys = join(folder, "keys");
  writeFileSync(keys, `${apiKey}\n`, { mode: 0o600 });
  const router = await toldCommand({}, "router", "--api-keys-file", keys);
  const proxy = await toldCommand(
    { NOMYO_API_KEY: apiKey },
    ...["proxy", "--base-url", router.told.url, "--allow-http", "--local-keys-file", keys],
  );
  const client = new SecureChatCompletion({ baseUrl: router.told.url, allowHttp: true, apiKey, maxRetries: 0 });
  const byProxy = async (body) => {
    const headers = { authorization: `Bearer ${apiKey}`, "content-type": "application/json" };
    const answer = await fetch(`${proxy.told.base_url}/chat/completions`, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
    });
    if (!answer.ok) throw new Error(`status ${answer.status}: ${await answer.text()}`);
    return await answer.json();
  };
  const portOf = (url) => Number(new URL(url).port);
  return {
    targets: {
      router: { port: portOf(router.told.url), path: "/v1/chat/secure_completion", ask: (body) => client.create(body) },
      proxy: { port: portOf(proxy.told.base_url), path: "/v1/chat/completions", ask: byProxy },
    },
    /** Until what was left of the attack before is over: the servers do nothing. */
    async settled() {
      const spent = () => [router, proxy].reduce((sum, { child }) => sum + ticks(child.pid), 0);
      for (let before = spent(), waited = 0; waited < 300; waited += 1) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        const now = spent();
        if (now - before <= 1) return;
        before = now;
      }
      throw new Error("the servers are busy half a minute after an attack");
    },
    /** How many of the two ended as they should. */
    async end() {
      await client.close();
      let well = 0;
      for (const { child } of [proxy, router]) {
        const ended = new Promise((resolve) => child.once("exit", (code) => resolve(code)));
        child.kill();
        if ((await ended) === 0) well += 1;
      }
      rmSync(folder, { recursive: true });
      return well;
    },
  };
}

/**
 * Median and count of the times of honest requests, one after the other, for so long; what was wrong goes to
 * `faults`.
 */
async function measure(ask, seconds, faults) {
  const times = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end || times.length < 5) {
    const content = `honest ${(faults.asked += 1)}.`;
    const start = performance.now();
    try {
      const answer = await ask({ model: "m", messages: [{ role: "user", content }] });
      if (!answer.choices[0].message.content.endsWith(content)) faults.wrong += 1;
    } catch (error) {
      faults.failed.push(error.message);
      if (faults.failed.length > 100) throw error;
    }
    times.push(performance.now() - start);
  }
  times.sort((one, other) => one - other);
  return { median: times[times.length >> 1], count: times.length };
}

/** All threads of a process, and those that it will have, on one core. */
function pin(pid, core) {
  execFileSync("taskset", ["--all-tasks", "--cpu-list", "--pid", String(core), String(pid)], { stdio: "ignore" });
}

/** The next message of that type; rejects where the attacker ends without it. */
function heard(attacker, type) {
  return new Promise((resolve, reject) => {
    const listen = (said) => {
      if (typeof said !== type) return;
      attacker.off("message", listen);
      resolve(said);
    };
    attacker.on("message", listen);
    attacker.once("exit", (code) => reject(new Error(`the attacker ended with ${code}`)));
  });
}

async function lead() {
  const seconds = Number(process.argv[2]);
  if (!(seconds > 0)) throw new Error("how many seconds of each?");
  const pinned = availableParallelism() > 1;
  if (pinned) pin(process.pid, 0);
  const { targets, settled, end } = await stage();
  const faults = { asked: 0, wrong: 0, failed: [] };
  let table =
    "| attack | on | quiet, ms | beside it, ms | times | honest answers | connections of the attack |\n" +
    "| --- | --- | --- | --- | --- | --- | --- |\n";
  let slow = 0;
  for (const [on, { port, path, ask }] of Object.entries(targets)) {
    await measure(ask, seconds, faults);
    for (const name of Object.keys(attacks)) {
      await settled();
      const quiet = await measure(ask, seconds, faults);
      const attacker = fork(new URL(import.meta.url));
      // Elsewhere an attacker has a machine of his own: what he takes of this one is not the servers' doing.
      if (pinned) pin(attacker.pid, 1);
      attacker.send({ port, path, name });
      await heard(attacker, "string");
      const beside = await measure(ask, seconds, faults);
      attacker.send("end");
      const made = await heard(attacker, "number");
      const times = beside.median / quiet.median;
      process.stderr.write(`attack: ${name} on the ${on}: ${times.toFixed(1)} times\n`);
      if (times > MOST_TIMES) slow += 1;
      const figures = [quiet.median, beside.median, times].map((figure) => figure.toFixed(1));
      table += `| ${[name, on, ...figures, beside.count, made].join(" | ")} |\n`;
    }
  }
  const ended = await end();
  process.stdout.write(
    `${seconds} s of each attack, ${CONNECTIONS} connections at a time (slow headers: 1500), ` +
      `from a process ${pinned ? "on a core of its own" : "on the same core"}; medians.\n\n${table}\n` +
      `${faults.wrong} honest answers were wrong, ${faults.failed.length} honest requests failed, ` +
      `${slow} medians were over ${MOST_TIMES} times the quiet one; ` +
      `${ended} of 2 servers ended as they should.\n`,
  );
  for (const failure of faults.failed.slice(0, 5)) process.stderr.write(`failed: ${failure}\n`);
  if (faults.wrong > 0 || faults.failed.length > 0 || slow > 0 || ended < 2) process.exitCode = 1;
}
