/** Whether an address is of this machine alone. */
import { nodeNet } from "../builtins.js";
import { withoutBrackets } from "../printable.js";

/** Whether only this machine can reach the address. A name other than `localhost` may resolve to anything. */
export function isLoopback(host: string): boolean {
  const bare = withoutBrackets(host);
  if (nodeNet().isIP(bare) === 4) return bare.startsWith("127.");
  return bare === "::1" || bare === "localhost";
}
