import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** What test/support/python_envelope.py does; each job gives one string. */
export type PythonJob =
  | { readonly do: "seal"; readonly public: string; readonly plaintext: string }
  | { readonly do: "open"; readonly private: string; readonly body: string; readonly password?: string }
  | { readonly do: "generate"; readonly password?: string }
  | { readonly do: "public"; readonly private: string; readonly password?: string };

/**
 * Runs the jobs in one Python process. It is Debian's Python, whose `cryptography` is the one that scripts/setup
 * installs.
 */
export function python(jobs: readonly PythonJob[]): string[] {
  const output = execFileSync("/usr/bin/python3", [join(__dirname, "python_envelope.py")], {
    input: JSON.stringify(jobs),
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(output) as string[];
}
