/** What may be handed to `open`, what may happen to it meanwhile, and how the work is stopped. */
import { SecurityError } from "../../../lib/errors.js";
import { openPackage } from "../../../lib/envelope/open.js";
import { native } from "../../../lib/native.js";
import type { OpenedHandle, PrivateKeyHandle } from "../../../lib/native.js";
import { quickKey } from "../../support/client-key.js";
import type { TestKey } from "../../support/client-key.js";
import { nodeSeal } from "../../support/node-package.js";

let key: TestKey;
beforeAll(async () => {
  key = await quickKey();
});

const limits = { maxPlaintextBytes: 1 << 20, maxDepth: 64 };
const text = JSON.stringify({ a: "the answer" });
const open = (body: Uint8Array) => openPackage(key.privateKey, body, { locking: "required" });
/** The package in an ArrayBuffer of its own. */
const ownBody = (): Uint8Array<ArrayBuffer> => Uint8Array.from(nodeSeal(key.publicPem, text));

describe("the body is copied before the call returns, so that afterwards it may be", () => {
  test.each<[string, (body: Uint8Array<ArrayBuffer>) => void]>([
    ["transferred", (body) => void structuredClone(body, { transfer: [body.buffer] })],
    ["overwritten", (body) => void body.fill(0x22)],
    ["overwritten where its padding is", (body) => void Buffer.from(body.buffer).write("AA", body.indexOf(0x3d))],
  ])("%s", async (_name, change) => {
    const body = ownBody();
    const opening = open(body);
    change(body);
    expect((await opening).text()).toBe(text);
  });

  test("and while it waits in the queue", async () => {
    const bodies = Array.from({ length: 60 }, ownBody);
    const opening = bodies.map(open);
    for (const body of bodies) body.fill(0);
    for (const opened of await Promise.all(opening)) expect(opened.text()).toBe(text);
  });
});

describe("memory that can change while it is read is refused by name", () => {
  const inMemory = (memory: ArrayBuffer | SharedArrayBuffer): Uint8Array => {
    const body = new Uint8Array(memory);
    body.set(ownBody().subarray(0, body.length));
    return body;
  };
  test.each<[string, () => ArrayBuffer | SharedArrayBuffer, RegExp]>([
    ["shared", () => new SharedArrayBuffer(4096), /^body lies in a SharedArrayBuffer/],
    [
      "resizable",
      () => new (ArrayBuffer as new (bytes: number, options: object) => ArrayBuffer)(4096, { maxByteLength: 8192 }),
      /^body lies in a resizable ArrayBuffer/,
    ],
  ])("%s", async (_name, make, message) => {
    await expect(open(inMemory(make()))).rejects.toMatchObject({
      name: "NomyoError",
      code: "INVALID_ARGUMENT",
      message: expect.stringMatching(message) as string,
    });
    // The same for every argument that is bytes.
    const bytes = inMemory(make());
    const options = { maxPlaintextBytes: 10_000, locking: "required" } as const;
    expect(() => native.sealBytes(key.publicKey, bytes, options)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
    expect(() => native.verifyAttestation("{}", bytes, "{}", null)).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT" }),
    );
  });

  test("what is no Uint8Array is a TypeError, and an empty or detached one no package", async () => {
    for (const value of [undefined, null, "text", {}, [1], new DataView(new ArrayBuffer(8)), new Uint16Array(8)]) {
      expect(() => native.open(key.privateKey, value as never, limits, "required")).toThrow(
        "body must be a Uint8Array",
      );
    }
    const detached = ownBody();
    structuredClone(detached, { transfer: [detached.buffer] });
    for (const body of [new Uint8Array(0), detached]) {
      await expect(open(body)).rejects.toMatchObject({ code: "PACKAGE_FORMAT" });
    }
  });

  test("a getter that runs while the arguments are read changes nothing afterwards", async () => {
    const body = ownBody();
    const sly = {
      maxPlaintextBytes: limits.maxPlaintextBytes,
      get maxDepth() {
        structuredClone(body, { transfer: [body.buffer] });
        return limits.maxDepth;
      },
    };
    await expect(native.open(key.privateKey, body, sly, "required")).rejects.toMatchObject({ code: "PACKAGE_FORMAT" });
  });
});

test("a key and a password are copied before the call returns, so a view may be written to meanwhile", async () => {
  const pem = native.bufferFrom(key.privatePem, "required");
  const view = native.bufferView(pem);
  const importing = native.importPrivateKey(pem, null, "required");
  view.fill(0);
  native.bufferReleaseView(pem, view);
  native.bufferDispose(pem);
  const imported = await importing;
  expect(native.publicKeyInfo(native.privateKeyPublic(imported)).pem).toBe(key.publicPem);

  const password = native.bufferFrom("correct horse battery", "required");
  const passwordView = native.bufferView(password);
  const exporting = native.exportPrivateKey(imported, password, "required");
  passwordView.fill(0x78);
  native.bufferReleaseView(password, passwordView);
  const right = native.bufferFrom("correct horse battery", "required");
  const encrypted = await exporting;
  await expect(native.importPrivateKey(encrypted, right, "required")).resolves.toBeDefined();
});

/** A package of 24 MiB, nearly all of it unknown fields: more than a hundred milliseconds of work. */
function flood(): Uint8Array {
  const field = Buffer.from('"":[],');
  const body = Buffer.alloc(24 << 20, field);
  body[0] = 0x20;
  body.write("{", 0);
  body.fill(0x20, 1, field.length);
  const end = Math.floor(body.length / field.length - 4) * field.length;
  body.fill(0x20, end);
  body.write('"z":0}', end);
  return body;
}

/** Returns when a job runs: it has left the queue for good. */
function untilRunning(): void {
  while (native.memoryInfo().threads.running === 0);
}

describe("work that runs is cancelled", () => {
  test("a flood of unknown fields, however often they have the same name, is no more than no package", async () => {
    const outcome: unknown = await open(flood()).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(SecurityError);
    expect((outcome as SecurityError).code).toBe("PACKAGE_FORMAT");
  });

  const start: [
    string,
    (token: ReturnType<typeof native.createCancelToken>) => Promise<OpenedHandle | PrivateKeyHandle>,
  ][] = [
    ["opening", (token) => native.open(key.privateKey, flood(), limits, "required", token)],
    ["key generation", (token) => native.generatePrivateKey(4096, "required", token)],
  ];
  test.each(start)("%s", async (_name, work) => {
    const token = native.createCancelToken();
    const working = work(token);
    untilRunning();
    native.cancel(token);
    await expect(working).rejects.toMatchObject({ code: "CANCELLED", message: "The work was cancelled." });
  });

  test("by a signal, too", async () => {
    const controller = new AbortController();
    const opening = openPackage(key.privateKey, flood(), { locking: "required", signal: controller.signal });
    untilRunning();
    controller.abort(new Error("enough"));
    await expect(opening).rejects.toThrow("enough");
    expect((await open(ownBody())).text()).toBe(text);
  });
});
