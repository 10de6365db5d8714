/** Security tiers, and which models each one allows. */
import { Refusal } from "./refusal.js";

export const tiers = ["standard", "high", "maximum"] as const;
export type Tier = (typeof tiers)[number];

/** A tier without a list allows every model. */
export type TierModels = Readonly<Partial<Record<Tier, readonly string[]>>>;

export function isTier(text: string): text is Tier {
  return (tiers as readonly string[]).includes(text);
}

/** Throws a 403 when the tier has a list and the model is not on it. The model's name came encrypted, so the answer does not say it. */
export function checkModelAllowed(models: TierModels, tier: Tier, model: string): void {
  const allowed = models[tier];
  if (allowed !== undefined && !allowed.includes(model)) {
    throw new Refusal(403, `The requested model is not allowed for the security tier "${tier}".`);
  }
}
