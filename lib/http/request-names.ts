/**
 * The names in a request: what it calls the server, and whether a browser's page of elsewhere sends it.
 *
 * A server on loopback is reached by every page that a browser on this machine shows: by a name of the page's own that
 * it lets resolve to 127.0.0.1 (DNS rebinding), or straight away.
 */
import { withoutBrackets } from "../printable.js";

/** A Host header's name, without its port and brackets, in lower case. */
export function hostName(host: string): string {
  const colon = host.lastIndexOf(":");
  // In an IPv6 address in brackets the last colon is not the port's.
  const name = colon >= 0 && colon > host.lastIndexOf("]") ? host.slice(0, colon) : host;
  return withoutBrackets(name).toLowerCase();
}

/**
 * Whether a page of another origin sends this, by its `Origin` and `Sec-Fetch-Site`, which pages cannot forge. For a
 * server that has no pages: every `Origin` is another one. Programs send neither.
 */
export function isOfAPage(origin: string | undefined, site: string | undefined): boolean {
  return origin !== undefined || (site !== undefined && site !== "same-origin" && site !== "none");
}
