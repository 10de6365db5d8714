// StructureWalk: whether bytes have the shape of a TPM structure, by their sizes and selectors alone.
#pragma once

#include "core/tpm/hash_algorithm.h"

namespace nomyo {

// Each function walks over the bytes of one structure (TPM 2.0 Part 2) and tells whether they are all of it: every size
// within its limit, every selector one that has a form, nothing cut and nothing left over. What passes is a structure
// that libtss2-mu understands; what does not, it is never shown: it would write to stderr about it, and has no switch
// for that but an environment variable. Any thread.

// TPMS_ATTEST (10.12.12) with the magic and type of a quote.
bool WalksAsQuote(ByteView bytes);
// TPMT_SIGNATURE (11.3.4).
bool WalksAsSignature(ByteView bytes);
// TPMT_PUBLIC (12.2.4).
bool WalksAsPublic(ByteView bytes);

}  // namespace nomyo
