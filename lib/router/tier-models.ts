/** Which models each security tier allows. */
import type { SecurityTier } from "../chat/security-tier.js";
import { Refusal } from "../http/refusal.js";

/** A tier without a list allows every model. */
export type TierModels = Readonly<Partial<Record<SecurityTier, readonly string[]>>>;

/**
 * Throws a 403 when the tier has a list and the model is not on it. The model's name came encrypted, so the answer does
 * not say it.
 */
export function checkModelAllowed(models: TierModels, tier: SecurityTier, model: string): void {
  const allowed = models[tier];
  if (allowed !== undefined && !allowed.includes(model)) {
    throw new Refusal(403, `The requested model is not allowed for the security tier "${tier}".`);
  }
}
