// The three TPM structures of a block, unmarshalled under one rule: what was understood is all there was.
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "core/result.h"
#include "core/tpm/hash_algorithm.h"
#include "core/tpm/tss_mu.h"

namespace nomyo {

// Unmarshalling succeeds only if libtss2-mu accepts the bytes, consumes all of them, and marshals the result to the
// same bytes again. Its own checks are not relied on: versions differ, 3.2.1 accepts wrong sizes and trailing bytes
// (GHSA-p3px-r4mm-jpw5), and what they refuse they write about to stderr; so it is shown only what a walk over the
// sizes and selectors has found whole. Errors below are kInvalidArgument with a sentence about what is wrong. Any
// thread.

// QuoteStructure is what `quote_b64` holds.
struct QuoteStructure {
  ByteView bytes;       // TPMS_ATTEST as received, without the size of TPM2B_ATTEST: what the AIK signed
  std::uint32_t magic;  // from the raw bytes, before libtss2-mu sees them
  std::uint16_t type;   // the same
  TPMS_ATTEST attest;   // filled only when is_quote(); `magic` in it is not the received one
  bool is_quote() const { return type == TPM2_ST_ATTEST_QUOTE; }
  bool has_magic() const { return magic == TPM2_GENERATED_VALUE; }
};

// ReadQuote takes a bare TPMS_ATTEST, or one in TPM2B_ATTEST. Structures that differ from a quote in their magic alone
// are read too, and so are those of another type, as far as magic and type: the verifier has codes of their own for
// them. (Version 4 of the library refuses a wrong magic itself, 3.2.1 does not: the codes must not depend on it.)
// `bytes` must outlive the result.
Result<QuoteStructure> ReadQuote(const TssMu& mu, ByteView bytes);

// ReadSignature takes TPMT_SIGNATURE.
Result<TPMT_SIGNATURE> ReadSignature(const TssMu& mu, ByteView bytes);

// PublicArea is what `aik_pubkey_b64` holds.
struct PublicArea {
  ByteView bytes;  // TPMT_PUBLIC as received, without the size of TPM2B_PUBLIC: what the key's name is a hash of
  TPMT_PUBLIC area;
};

// ReadPublicArea takes TPM2B_PUBLIC. `bytes` must outlive the result.
Result<PublicArea> ReadPublicArea(const TssMu& mu, ByteView bytes);

}  // namespace nomyo
