// The command `openssl speed`: milliseconds of one operation over a second of them, by the clock on the wall; under
// load of a core's time, all at work.
import { availableParallelism } from "node:os";
import { output, timed } from "../processes.mjs";

const speed = (...options) => output("openssl", ["speed", "-mr", "-elapsed", "-seconds", "1", ...options]);
const perSecond = (text, form) => Number(form.exec(text)[1]);
/**
 * `+F2:<n>:<bits>:<signatures a second>:<verifications a second>`, of elliptic curves `+F4`; with -multi after those of
 * the processes.
 */
const signatures = /^\+F2:\d+:4096:([\d.e+-]+):/m;
const verifications = /^\+F[24]:\d+:\d+:[\d.e+-]+:([\d.e+-]+)/m;
const verified = { rsa2048: "rsa2048", "ecc-p256": "ecdsap256", "ecc-p384": "ecdsap384" };

const rsa = async () => 1000 / perSecond(await speed("rsa4096"), signatures);
/** By kind. */
export const alone = {
  ...{ rsa, open: rsa },
  async router() {
    const cores = availableParallelism();
    return (1000 * cores) / perSecond(await speed("-multi", String(cores), "rsa4096"), signatures);
  },
  async aes({ size }) {
    // `+F:<n>:<cipher>:<bytes a second>`
    const text = await speed("-bytes", String(size), "-evp", "aes-256-gcm");
    return (size / perSecond(text, /^\+F:\d+:[^:]+:([\d.e+-]+)/m)) * 1000;
  },
  attestation: async ({ label }) => 1000 / perSecond(await speed(verified[label]), verifications),
  keygen: () =>
    timed(() =>
      output("openssl", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -quiet -out /dev/null".split(" ")),
    ),
};
