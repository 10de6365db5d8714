/**
 * Whether `text` has at least one character, and only printable ASCII characters other than the space: what may stand
 * in a header as one word. For API keys, so without a regular expression: `RegExp.$_` would keep the last one that
 * matched for whoever asks.
 */
export function isPrintableWord(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x21 || code > 0x7e) return false;
  }
  return text !== "";
}

/**
 * The credential of an `Authorization` header of the scheme `Bearer`, as it stands there; `undefined` for any other
 * header.
 */
export function bearerCredential(header: string | null | undefined): string | undefined {
  const scheme = "bearer ";
  if (header?.slice(0, scheme.length).toLowerCase() !== scheme) return undefined;
  const credential = header.slice(scheme.length).trim();
  return credential === "" ? undefined : credential;
}

/** Whether `text` has nothing but hex digits: exactly so many. */
export function isHex(text: string, digits: number): boolean {
  if (text.length !== digits) return false;
  for (let i = 0; i < text.length; i++) if (!"0123456789abcdefABCDEF".includes(text.charAt(i))) return false;
  return true;
}

/** An IPv6 address as it stands in a URL, without its brackets; any other host as it is. */
export function withoutBrackets(host: string): string {
  const end = host.endsWith("]") ? host.length - 1 : host.length;
  return host.slice(host.startsWith("[") ? 1 : 0, end);
}
