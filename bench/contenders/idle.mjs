// A process that does nothing: what the machine itself adds to delays.
import { stall } from "./stall.mjs";

export const kinds = { stall: () => ({ evidence: () => ({}), measure: stall(undefined) }) };
