/**
 * Which mechanism locks memory: chosen, demanded, forgone, refused. Filters of system calls make the machines for it.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(__dirname, "..", "..", "..");
const cli = join(root, "dist", "cli", "main.js");
const filter = join(root, "test", "support", "with-system-calls.py");

interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

function run(rules: string | undefined, args: readonly string[], env: Record<string, string> = {}): Ended {
  const [command, ...rest] = [...(rules === undefined ? [] : ["python3", filter, rules]), process.execPath, ...args];
  const ended = spawnSync(command!, rest, { encoding: "utf8", env: { ...process.env, ...env }, timeout: 120_000 });
  return { code: ended.status, signal: ended.signal, out: ended.stdout, err: ended.stderr };
}

/**
 * Runs code with the package as `nomyo`; what it `print`s is returned. Errors are printed as `{ name, code, option,
 * message }`.
 */
function inPackage(rules: string | undefined, code: string, env: Record<string, string> = {}): Record<string, unknown> {
  const script = `
    const nomyo = require(${JSON.stringify(join(root, "dist", "index.js"))});
    const print = (value) => process.stdout.write(JSON.stringify(value));
    const attempt = (work) => {
      try { return work(); } catch ({ name, code, option, message }) { return { name, code, option, message }; }
    };
    ${code}`;
  const ended = run(rules, ["-e", script], env);
  if (ended.out === "") throw new Error(`ended with ${ended.code ?? ended.signal ?? "nothing"}: ${ended.err}`);
  return JSON.parse(ended.out) as Record<string, unknown>;
}

/** Why there are no filters here. */
function whyNot(): string | undefined {
  if (process.platform !== "linux") return "filters of system calls are Linux's";
  const { code, err } = run("memfd_secret=ENOSYS", ["-e", ""]);
  return code === 0 ? undefined : `no filter can be installed here: ${err.trim()}`;
}
const reason = whyNot();
const client = `(secureMemory) => new nomyo.SecureCompletionClient({ apiKey: null, secureMemory })`;

(reason === undefined ? describe : describe.skip)(
  `the mechanism${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    describe("where memfd_secret ends the process, as under systemd's @system-service", () => {
      const kills = "memfd_secret=kill";

      test("does, without a choice", () => {
        expect(run(kills, [cli, "doctor"])).toMatchObject({ code: null });
      });

      test("mlock forgoes it: by the function, with buffers, reports and keys", () => {
        const result = inPackage(
          kills,
          `nomyo.setMemoryMechanism("mlock");
           const before = nomyo.getMemoryProtectionInfo().mechanism;
           const buffer = nomyo.SecureBuffer.from("secret");
           const one = (${client})({ mechanism: "mlock" });
           one.generateKeys().then(() => {
             const { mechanism, mechanismChosen, weakerBecause, degraded, stats } = nomyo.getMemoryProtectionInfo();
             const hidden = stats.bytesLockedBy.memfd_secret;
             print({ before, mechanism, mechanismChosen, weakerBecause, degraded, hidden });
             process.exit(0);
           });`,
        );
        expect(result).toEqual({
          before: "mlock",
          mechanism: "mlock",
          mechanismChosen: "mlock",
          weakerBecause: null,
          degraded: false,
          hidden: 0,
        });
      });

      test("mlock forgoes it: by the option of the first client", () => {
        const code =
          `(${client})({ mechanism: "mlock", policy: "preferred" }); print({ mechanism: ` +
          "nomyo.getMemoryProtectionInfo().mechanism });";
        expect(inPackage(kills, code)).toEqual({ mechanism: "mlock" });
      });

      test("mlock forgoes it: by the variable of the command line", () => {
        const { code, out } = run(kills, [cli, "doctor", "--json"], { NOMYO_MEMORY_MECHANISM: "mlock" });
        expect(code).not.toBeNull();
        const { facts } = JSON.parse(out) as { facts: { memory: object } };
        expect(facts.memory).toMatchObject({ mechanismChosen: "mlock", weakerBecause: null });
      });
    });

    test("the library does not read the variable of the command line", () => {
      const code = `nomyo.SecureBuffer.alloc(1); print({ chosen: nomyo.getMemoryProtectionInfo().mechanismChosen });`;
      expect(inPackage(undefined, code, { NOMYO_MEMORY_MECHANISM: "mlock" })).toEqual({ chosen: null });
    });

    test("a wrong value of the variable is a wrong argument", () => {
      const { code, err } = run(undefined, [cli, "doctor"], { NOMYO_MEMORY_MECHANISM: "mlok" });
      expect(code).toBe(2);
      expect(err).toContain("NOMYO_MEMORY_MECHANISM");
    });

    test.each(["ENOSYS", "EPERM"])("memfd_secret is demanded and refused (%s): an error, not mlock", (error) => {
      const result = inPackage(
        `memfd_secret=${error}`,
        `const demanded = attempt(() => (${client})({ mechanism: "memfd_secret" }));
         const { mechanism, weakerBecause } = (nomyo.SecureBuffer.alloc(10), nomyo.getMemoryProtectionInfo());
         print({ demanded, mechanism, weakerBecause });`,
      );
      expect(result["demanded"]).toMatchObject({ name: "MemoryProtectionError", code: "MEMORY_LOCK" });
      expect((result["demanded"] as Error).message).toContain(`memfd_secret: ${error} (`);
      // Without the demand there is a second choice, which is reported.
      expect(result).toMatchObject({
        mechanism: "mlock",
        weakerBecause: { call: "memfd_secret", error, cause: error === "EPERM" ? "jail" : "unavailable" },
      });
    });

    test("a later, other demand names what was chosen", () => {
      const result = inPackage(
        undefined,
        `(${client})({ mechanism: "mlock" });
         print(attempt(() => (${client})({ mechanism: "memfd_secret" })));`,
      );
      expect(result).toMatchObject({ name: "ConfigurationError", option: "secureMemory.mechanism" });
      expect(result["message"]).toContain("by mlock, as was chosen before");
    });

    test("a jail that refuses mlock is told from a limit: call, error and cause are named", () => {
      const result = inPackage(
        "memfd_secret=ENOSYS,mlock=EPERM,mlock2=EPERM",
        `const required = attempt(() => nomyo.SecureBuffer.alloc(100));
         print({ required, refused: nomyo.getMemoryProtectionInfo().lockRefused });`,
      );
      const { message } = result["required"] as Error;
      expect(message).toContain("mlock: EPERM (1");
      expect(message).toContain("which is not the cause");
      expect(message).not.toMatch(/raise the limit/i);
      expect(result["refused"]).toEqual({ call: "mlock", error: "EPERM", errno: 1, cause: "jail" });
    });
  },
);
