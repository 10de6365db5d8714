/** A TPM that makes quotes, for the router; and what is there of tpm2-tss. */
import { native } from "../native.js";
import type { NativeAddon } from "../native.js";

/** The addon's functions for a TPM; tests give one of their own making. */
export type TpmDriver = Pick<NativeAddon, "tpmOpen" | "tpmQuote" | "tpmClose">;

export const tpmDriver: TpmDriver = native;

/** Version and path of the tpm2-tss libraries that were found, or why none was. */
export function tssInfo(): ReturnType<NativeAddon["tssInfo"]> {
  return native.tssInfo();
}
