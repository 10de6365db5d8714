// Which contenders this machine has.
import { corePrograms } from "./core-speed.mjs";

/** @param {object} versions as `machine()` gives them */
export function availableContenders(versions) {
  const there = {
    python: versions.cryptography !== undefined,
    openssl: versions.opensslCommand !== undefined,
    core: corePrograms().length > 0,
  };
  return (contender) => there[contender.split(":")[0]] ?? true;
}
