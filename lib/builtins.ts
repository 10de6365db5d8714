/**
 * Node's own modules that take long to load, loaded where they are first used and not by `import "nomyo-native"`:
 * `node:crypto` takes 2 to 3 ms, `node:https` as much again. Some who import this package make no client, or one with a
 * `fetch` of their own.
 */
import type Crypto from "node:crypto";
import type Http from "node:http";
import type Https from "node:https";
import type V8 from "node:v8";

let crypto: typeof Crypto | undefined;
let http: typeof Http | undefined;
let https: typeof Https | undefined;
let v8: typeof V8 | undefined;

/* eslint-disable @typescript-eslint/no-require-imports -- an import would load them at once */
export const nodeCrypto = (): typeof Crypto => (crypto ??= require("node:crypto") as typeof Crypto);
export const nodeHttp = (): typeof Http => (http ??= require("node:http") as typeof Http);
export const nodeHttps = (): typeof Https => (https ??= require("node:https") as typeof Https);
export const nodeV8 = (): typeof V8 => (v8 ??= require("node:v8") as typeof V8);
/* eslint-enable @typescript-eslint/no-require-imports */
