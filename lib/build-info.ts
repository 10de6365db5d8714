/** What the addon was built from. */
import { native } from "./native.js";
import type { BuildInfo } from "./native.js";

/** How the addon was built: version, its own OpenSSL, compiler. */
export function getBuildInfo(): BuildInfo {
  return native.getBuildInfo();
}
