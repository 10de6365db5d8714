// One of several processes that use a key folder or a known-servers file at the same time: shared-state.cjs ROLE PATH
// ARGUMENT. Prints a line of JSON at its end.
const { join } = require("node:path");

const dist = join(__dirname, "../../../dist");
const { native } = require(join(dist, "native.js"));
const { KnownServersFile } = require(join(dist, "keys/known-servers.js"));
const { PrivateKey } = require(join(dist, "keys/private-key.js"));
const store = require(join(dist, "keys/key-store.js"));

const [, , role, path, argument] = process.argv;
const makeKey = async () => new PrivateKey(await native.generatePrivateKey(2048, "required"));

const roles = {
  /** Remembers 50 servers of its own, and one that all of the processes know, each with a key of its own. */
  async remember() {
    const file = new KnownServersFile(path);
    const seen = await file.remember("https://common.example", argument.repeat(64));
    for (let i = 0; i < 50; i++) await file.remember(`https://${argument}-${i}.example`, argument.repeat(64));
    return { common: seen.fingerprint };
  },

  /** Puts new keys in the place of the present one, as the rotation does. */
  async rotate() {
    let replaced = 0;
    let superseded = 0;
    for (let i = 0; i < Number(argument); i++) {
      const former = await store.loadKeyPair(path, undefined, "required");
      const key = await makeKey();
      const version = await store.savePrivateKey(path, key, undefined, "required", former.version);
      if (version === undefined) superseded++;
      else replaced++;
    }
    return { replaced, superseded };
  },

  /** Loads the pair, both ways, until the file `argument` is there. */
  async load() {
    const { existsSync } = require("node:fs");
    const { privateKey, publicKey } = store.keyFiles(path);
    const refused = [];
    let loads = 0;
    for (; !existsSync(argument); loads += 2) {
      for (const load of [
        () => store.loadKeyPair(path, undefined, "required"),
        () => store.loadPrivateKey(privateKey, publicKey, undefined, "required"),
      ]) {
        try {
          (await load()).key.dispose();
        } catch (error) {
          refused.push(error.message);
        }
      }
    }
    return { loads, refused };
  },

  /** Dies by SIGKILL while it holds the lock, with the new private key beside the old one. */
  async die() {
    const { writeFileSync } = require("node:fs");
    const { withFileLock } = require(join(dist, "keys/file-lock.js"));
    await withFileLock(join(path, ".lock"), "keyDir", () => {
      writeFileSync(join(path, ".private_key.pem.0123456789abcdef"), "half a key", { mode: 0o600 });
      require("node:fs").unlinkSync(store.keyFiles(path).publicKey);
      process.kill(process.pid, "SIGKILL");
    });
  },
};

roles[role]().then((result) => console.log(JSON.stringify(result)));
