/** What the server must offer for a request, and in what order. */

/** `standard`, `high` or `maximum`: what the server must offer for this request. */
export type SecurityTier = "standard" | "high" | "maximum";

/** From the least to the most. */
export const securityTiers = ["standard", "high", "maximum"] as const satisfies readonly SecurityTier[];

export function isSecurityTier(value: unknown): value is SecurityTier {
  return (securityTiers as readonly unknown[]).includes(value);
}

/** Whether `given` offers at least what `asked` does. */
export function isAtLeast(given: SecurityTier, asked: SecurityTier): boolean {
  return securityTiers.indexOf(given) >= securityTiers.indexOf(asked);
}
