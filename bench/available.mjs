// Which contenders this machine has.
import { coreBinary } from "./core-speed.mjs";

/** @param {object} versions as `machine()` gives them */
export function availableContenders(versions) {
  const there = {
    python: versions.cryptography !== undefined,
    openssl: versions.opensslCommand !== undefined,
    core: coreBinary() !== undefined,
  };
  return (contender) => there[contender.split(":")[0]] ?? true;
}
