/**
 * Node's own modules that take long to load, loaded where they are first used and not by `import "nomyo-native"`:
 * `node:crypto` takes 2 to 3 ms, `node:https` as much again. Some who import this package make no client, or one with a
 * `fetch` of their own; and a client needs neither before its first request.
 */
import { createRequire } from "node:module";
import { isAbsolute } from "node:path";
import type * as Crypto from "node:crypto";
import type * as Http from "node:http";
import type * as Https from "node:https";
import type * as Net from "node:net";
import type * as V8 from "node:v8";

let crypto: typeof Crypto | undefined;
let http: typeof Http | undefined;
let https: typeof Https | undefined;
let net: typeof Net | undefined;
let v8: typeof V8 | undefined;

// Not `require`, which code that a bundler made ES modules of does not have. Node's own are found from anywhere.
// Without /proc Node does not know where its program is, and says what it was called by.
const load = createRequire(isAbsolute(process.execPath) ? process.execPath : "/");
export const nodeCrypto = (): typeof Crypto => (crypto ??= load("node:crypto") as typeof Crypto);
export const nodeHttp = (): typeof Http => (http ??= load("node:http") as typeof Http);
export const nodeHttps = (): typeof Https => (https ??= load("node:https") as typeof Https);
export const nodeNet = (): typeof Net => (net ??= load("node:net") as typeof Net);
export const nodeV8 = (): typeof V8 => (v8 ??= load("node:v8") as typeof V8);
