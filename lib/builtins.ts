/**
 * Node's own modules that take long to load, loaded where they are first used and not by `import "nomyo-native"`: `node:crypto` takes
 * 2 to 3 ms, `node:https` as much again. Some who import this package make no client, or one with a `fetch` of their own. Asking again costs a
 * quarter of a microsecond.
 */
import type crypto from "node:crypto";
import type http from "node:http";
import type https from "node:https";
import type workerThreads from "node:worker_threads";

/* eslint-disable @typescript-eslint/no-require-imports */
export const nodeCrypto = (): typeof crypto => require("node:crypto") as typeof crypto;
export const nodeHttp = (): typeof http => require("node:http") as typeof http;
export const nodeHttps = (): typeof https => require("node:https") as typeof https;
export const nodeWorkerThreads = (): typeof workerThreads => require("node:worker_threads") as typeof workerThreads;
/* eslint-enable @typescript-eslint/no-require-imports */
