/**
 * Who may ask: by the names the proxy goes by, by where a browser's page comes from, and by the local API keys.
 *
 * A proxy on loopback is reached by every page that a browser on this machine shows. Without the first check a page
 * could call it by a name of its own that it lets resolve to 127.0.0.1 (DNS rebinding), without the second one straight
 * away.
 */
import type { RequestHead } from "../http/http-request.js";
import type { ApiKeys } from "../http/api-keys.js";
import { hostName, isOfAPage } from "../http/request-names.js";
import { errorAnswer } from "./answer.js";
import type { Answer } from "./answer.js";

export interface AccessSettings {
  readonly apiKeys: ApiKeys;
  /** In lower case, without ports. */
  readonly hosts: ReadonlySet<string>;
  readonly origins: ReadonlySet<string>;
}

/** What the headers must be asked for so that this can be decided. */
export const accessHeaders = [
  "host",
  "origin",
  "sec-fetch-site",
  "authorization",
  "access-control-request-method",
  "access-control-request-headers",
  "access-control-request-private-network",
] as const;

/** What a client on this machine calls it by. */
export const loopbackHosts = ["localhost", "127.0.0.1", "::1"] as const;

/** The answer that refuses this request because of the names in it; undefined: it may pass. */
export function refusedByName({ headers }: RequestHead, { hosts, origins }: AccessSettings): Answer | undefined {
  const host = headers.get("host");
  if (host === undefined) {
    return errorAnswer(400, "HOST_MISSING", "The request has no Host header.");
  }
  if (!hosts.has(hostName(host))) {
    return errorAnswer(
      403,
      "HOST_NOT_ALLOWED",
      "The request's Host is none of this proxy's names. Use localhost, or start it with --allow-host for another " +
        "name.",
    );
  }
  const origin = headers.get("origin");
  const site = headers.get("sec-fetch-site");
  if (isOfAPage(origin, site) && !(origin !== undefined && origins.has(origin))) {
    return errorAnswer(
      403,
      "ORIGIN_NOT_ALLOWED",
      "Pages of other origins may not use this proxy. Start it with --allow-origin for one that may.",
    );
  }
  return undefined;
}

/** The number of the local key; `null` when there is none that is known. Keys are compared in constant time. */
export function localKey({ headers }: RequestHead, { apiKeys }: AccessSettings): number | null {
  return apiKeys.open ? 0 : apiKeys.identify(headers.get("authorization"));
}

/** `seconds`: above 0 where too many wrong keys came; then it says when to come again. */
export function unknownKey(seconds: number): Answer {
  if (seconds > 0) {
    return errorAnswer(
      429,
      "LOCAL_KEY",
      "The proxy's own API key is not known, like many others of late. One that is known would be answered.",
      { "retry-after": String(seconds) },
    );
  }
  return errorAnswer(
    401,
    "LOCAL_KEY",
    "The proxy's own API key is missing or not known. It is not NOMYO's: give one of those that the proxy was " +
      "started with.",
    { "www-authenticate": "Bearer" },
  );
}

/** The answer to a browser that asks whether a page may send its request; the origin was checked before. */
export function preflight({ headers }: RequestHead): Answer {
  const asked = headers.get("access-control-request-headers");
  return {
    status: 204,
    headers: {
      "access-control-allow-methods": "GET, POST",
      ...(asked === undefined || !isHeaderList(asked) ? {} : { "access-control-allow-headers": asked }),
      "access-control-max-age": "600",
      ...(headers.has("access-control-request-private-network")
        ? { "access-control-allow-private-network": "true" }
        : {}),
    },
    body: new Uint8Array(),
  };
}

/** What every answer to a page of an allowed origin has. */
export function originHeaders({ headers }: RequestHead): Readonly<Record<string, string>> {
  const origin = headers.get("origin");
  return origin === undefined ? {} : { "access-control-allow-origin": origin, vary: "Origin" };
}

/** Letters, digits, hyphens and what stands between names: nothing that could end a header. */
function isHeaderList(text: string): boolean {
  for (const char of text.toLowerCase()) {
    const isWord = (char >= "a" && char <= "z") || (char >= "0" && char <= "9") || "-_, ".includes(char);
    if (!isWord) return false;
  }
  return true;
}
