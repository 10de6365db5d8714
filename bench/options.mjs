// The command line of `npm run bench`.
import { parseArgs } from "node:util";

export const help = `Usage: npm run bench -- [options]

Measures sealing, opening, keys, attestation and whole requests on this machine, beside Node's own crypto, Web Crypto, Python's
\`cryptography\` and \`openssl speed\`, and checks the bounds that this package promises. Needs a build (scripts/build).

  --quick          a first picture in under a minute; the figures are rougher
  --only PATTERN   only the cases whose name holds PATTERN, e.g. seal, "open ascii", rsa, keygen, variant, router, start; may be repeated
  --rounds N       rounds for each case (9, quick: 2); contenders take turns in each
  --soak N         requests of the memory test through the local router (10 000; quick: none; with --docs 100 000)
  --json FILE      write everything that was measured
  --from FILE      measure nothing: report what an earlier --json FILE holds
  --svg FILE       draw it
  --docs           write docs/benchmarks.md and docs/benchmarks.svg
  --strict         exit with 3 when a bound is not met (otherwise it is only reported)
  --list           name the cases and stop
  --help

Exit codes: 0 measured, 1 a contender gave a wrong result or the measurement failed, 2 wrong arguments, 3 see --strict.
`;

export class UsageError extends Error {}

function count(name, text) {
  if (text === undefined) return undefined;
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--${name} takes a whole number.`);
  return Number(text);
}

export function readOptions(args) {
  let values;
  try {
    ({ values } = parseArgs({
      args,
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: [] },
        rounds: { type: "string" },
        soak: { type: "string" },
        json: { type: "string" },
        from: { type: "string" },
        svg: { type: "string" },
        docs: { type: "boolean", default: false },
        strict: { type: "boolean", default: false },
        list: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }));
  } catch (error) {
    throw new UsageError(error.message);
  }
  const rounds = count("rounds", values.rounds) ?? (values.quick ? 2 : 9);
  if (rounds < 1) throw new UsageError("--rounds takes 1 or more.");
  return {
    ...values,
    rounds,
    soak: count("soak", values.soak) ?? (values.docs ? 100_000 : values.quick ? 0 : 10_000),
    /** Milliseconds of one contender's turn, and of its warm-up. */
    turnMs: values.quick ? 50 : 200,
    warmUpMs: values.quick ? 60 : 300,
  };
}
