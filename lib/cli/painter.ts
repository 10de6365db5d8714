/** Colours, where there is somebody to see them. */
import type { Output } from "./output.js";
import type { Streams } from "./streams.js";

export interface Painter {
  readonly good: (text: string) => string;
  readonly bad: (text: string) => string;
  readonly caution: (text: string) => string;
  readonly faint: (text: string) => string;
  readonly strong: (text: string) => string;
}

/**
 * Colours in a terminal only, not where the user wants none (no-color.org, TERM=dumb), and anywhere if he insists
 * (FORCE_COLOR, unless it is 0). What is painted is written by {@link Output.writeStyled}.
 */
export function painterFor(
  streams: Pick<Streams, "stdout" | "env"> & Partial<Pick<Streams, "stderr">>,
  output: Output = streams.stdout,
): Painter {
  const { env } = streams;
  const forced = env["FORCE_COLOR"];
  const unwanted = (env["NO_COLOR"] ?? "") !== "" || forced === "0" || forced === "false";
  const possible = (forced ?? "") !== "" || (output.isTTY && env["TERM"] !== "dumb");
  const coloured = possible && !unwanted;
  const paint = (code: number) => (text: string) => (coloured ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { good: paint(32), bad: paint(31), caution: paint(33), faint: paint(2), strong: paint(1) };
}
