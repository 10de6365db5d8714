// node test/site/in-chromium.mjs FOLDER [SCREENSHOTS]: the site (scripts/site) looked at in a headless Chromium, at the
// width of a phone and of a desktop: nothing is wider than the window, no program of a page fails, the navigation leads
// to another page, and search finds a page. Speaks Chromium's own debugging protocol. Run by `scripts/site --check`.
import { spawn } from "node:child_process";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, resolve, sep } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "undici";

const folder = resolve(process.argv[2] ?? "build/site");
const screenshots = process.argv[3];
const program = process.env.CHROMIUM ?? "chromium-headless-shell";
const types = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

const server = createServer((request, response) => {
  const file = join(folder, decodeURIComponent(new URL(request.url, "http://site").pathname));
  if (!file.startsWith(folder + sep) || !existsSync(file) || !statSync(file).isFile())
    return response.writeHead(404).end();
  response.setHeader("content-type", types[extname(file)] ?? "application/octet-stream");
  createReadStream(file).pipe(response);
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const site = `http://127.0.0.1:${server.address().port}`;

const profile = mkdtempSync(join(tmpdir(), "nomyo-site-"));
// The pages are our own, and the sandbox does not work for root.
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--remote-debugging-port=0",
  `--user-data-dir=${profile}`,
];
const chromium = spawn(program, [...flags, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
const ended = new Promise((resolve) => chromium.once("exit", resolve));

/** The debugging address that it prints. */
const address = await new Promise((found, failed) => {
  let said = "";
  chromium.once("error", failed);
  chromium.once("exit", (code) => failed(new Error(`${program} ended with ${code}: ${said}`)));
  chromium.stderr.on("data", (text) => {
    said += text;
    const match = /listening on (ws:\S+)/.exec(said);
    if (match) found(match[1]);
  });
});

const failures = [];
const check = (holds, what) => void (holds || failures.push(what));

const pages = await (await fetch(`http://${new URL(address).host}/json`)).json();
const socket = new WebSocket(pages.find(({ type }) => type === "page").webSocketDebuggerUrl);
await new Promise((opened) => socket.addEventListener("open", opened, { once: true }));
let last = 0;
const waiting = new Map();
const events = new Map();
socket.addEventListener("message", ({ data }) => {
  const { id, result, error, method } = JSON.parse(data);
  if (method === "Runtime.exceptionThrown") check(false, `a program of the page failed: ${data.slice(0, 500)}`);
  if (id === undefined) return events.get(method)?.();
  const { done, failed } = waiting.get(id);
  if (error) failed(new Error(error.message));
  else done(result);
});
const send = (method, params = {}) =>
  new Promise((done, failed) => {
    waiting.set(++last, { done, failed });
    socket.send(JSON.stringify({ id: last, method, params }));
  });
/** The value of an expression in the page. */
async function look(expression) {
  const { result, exceptionDetails } = await send("Runtime.evaluate", {
    expression,
    returnByValue: true,
    awaitPromise: true,
  });
  if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
  return result.value;
}
async function until(expression, what) {
  for (let tries = 0; tries < 600; tries++) {
    if (await look(expression)) return;
    await sleep(50);
  }
  throw new Error(`${what}: did not come to be`);
}
async function open(path) {
  const loaded = new Promise((done) => events.set("Page.loadEventFired", done));
  await send("Page.navigate", { url: `${site}/${path}` });
  await loaded;
}

/** All documents, and one page of each kind of the API. */
const paths = [
  "index.html",
  ...readdirSync(join(folder, "documents")).map((name) => `documents/${name}`),
  ...["classes", "interfaces", "functions", "types"].map(
    (kind) => `${kind}/${readdirSync(join(folder, kind)).sort()[0] ?? "none"}`,
  ),
  "classes/nomyo-native.SecureChatCompletion.html",
];

try {
  await send("Page.enable");
  await send("Runtime.enable");
  for (const [name, width, height, mobile] of [
    ["phone", 390, 844, true],
    ["desktop", 1440, 900, false],
  ]) {
    await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile });
    for (const path of paths) {
      await open(path);
      const { wide, title, overlong } = await look(`({
        wide: document.documentElement.scrollWidth,
        title: document.title,
        overlong: [...document.querySelectorAll("body *")]
          .filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
          .filter((e) => !e.closest("pre, .overflow, table, .tsd-signature, .tsd-navigation, .col-sidebar, dialog"))
          .slice(0, 3).map((e) => e.outerHTML.slice(0, 80)),
      })`);
      check(/nomyo-native/.test(title), `${name}: ${path} has the title "${title}"`);
      check(wide <= width, `${name}: ${path} is ${wide} wide in a window of ${width} (${overlong.join(" ")})`);
      if (screenshots) {
        mkdirSync(screenshots, { recursive: true });
        const { data } = await send("Page.captureScreenshot");
        writeFileSync(join(screenshots, `${name}-${path.replaceAll("/", "-")}.png`), Buffer.from(data, "base64"));
      }
    }
    // Navigation: on a phone behind its button.
    await open("index.html");
    if (mobile) await look(`document.querySelector("#tsd-toolbar-menu-trigger, .tsd-widget.menu").click()`);
    const link = `[...document.querySelectorAll("nav a[href*='documents/']")].find((a) => /Quick_start/.test(a.href))`;
    await until(`!!${link}`, `${name}: the navigation with the quick start`);
    const followed = new Promise((done) => events.set("Page.loadEventFired", done));
    await look(`${link}.click()`);
    await followed;
    check(
      /Quick start/.test(await look("document.title")),
      `${name}: the navigation leads to ${await look("location.pathname")}`,
    );
    // Search: the field that the site shows, and what it finds.
    await look(`document.querySelector("#tsd-search-trigger, #tsd-search-field, .tsd-widget.search").click()`);
    await until(`!!document.querySelector("#tsd-search-input, #tsd-search-field")`, `${name}: the field of search`);
    await look(`(() => {
      const field = document.querySelector("#tsd-search-input, #tsd-search-field");
      field.focus();
      field.value = "troubleshooting";
      field.dispatchEvent(new Event("input", { bubbles: true }));
    })()`);
    const found = `[...document.querySelectorAll("#tsd-search-results a, .results a")].map((a) => a.href)`;
    await until(`${found}.length > 0`, `${name}: something that search finds`);
    check(
      (await look(found)).some((href) => /Troubleshooting/.test(href)),
      `${name}: search does not find the page`,
    );
  }
} catch (error) {
  failures.push(String(error));
} finally {
  socket.close();
  chromium.kill();
  await ended;
  server.close();
  rmSync(profile, { recursive: true, force: true });
}
if (failures.length > 0) {
  console.error(`site: ${failures.join("\nsite: ")}`);
  process.exit(1);
}
console.log(
  `site: ${paths.length} pages in Chromium, at 390 and 1440 pixels: none is too wide, navigation and search work`,
);
