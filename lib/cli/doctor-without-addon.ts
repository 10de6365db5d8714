/** `nomyo-native doctor` where there is no addon: why, and what to do. Imports nothing that needs it. */
import type { AddonNotLoadedError } from "../native-loader.js";
import { exitCode } from "./exit-code.js";
import type { Streams } from "./streams.js";

/** In the form of the doctor's other reports, with this one finding; `--help` is answered with it too. */
export function runWithoutAddon(
  error: AddonNotLoadedError,
  args: readonly string[],
  streams: Streams,
  version: string,
): number {
  const found = `cannot be loaded on ${process.platform}-${process.arch}, Node.js ${process.version}: ${error.found}`;
  const verdict = "Nothing of this package works here until its native addon can be loaded.";
  if (args.includes("--json")) {
    const findings = [{ name: "Native addon", state: "problem", found, next: error.next }];
    streams.stdout.writeJson({ verdict, requiredMet: false, findings, version }, 2);
  } else {
    streams.stdout.write(
      `nomyo-native ${version}\n\nPROBLEM  Native addon: ${found}\n         → ${error.next}\n\n${verdict}\n`,
    );
  }
  return exitCode.failed;
}
