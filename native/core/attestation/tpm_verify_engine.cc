#include "core/attestation/tpm_verify_engine.h"

#include <algorithm>
#include <optional>

namespace nomyo {
namespace {

// The verdict that a TPM's refusal means; nothing when it means that the TPM could not be asked (busy, full, broken).
std::optional<EngineVerdict> VerdictOf(TSS2_RC rc) {
  const TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
  if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER) return std::nullopt;
  // Only errors about a parameter (format 1) speak of what we sent.
  if ((rc & TPM2_RC_FMT1) == 0) return std::nullopt;
  switch (rc & (TPM2_RC_FMT1 | 0x3f)) {
    case TPM2_RC_CURVE:
    case TPM2_RC_SCHEME:
    case TPM2_RC_HASH:
    case TPM2_RC_KEY_SIZE:
    case TPM2_RC_VALUE:
    case TPM2_RC_TYPE:
    case TPM2_RC_ASYMMETRIC: return EngineVerdict::kUnsupported;
    default: return EngineVerdict::kInvalid;
  }
}

}  // namespace

Result<EngineVerdict> TpmVerifyEngine::Verify(const SignedQuote& quote) {
  const HashAlgorithm* hash = HashById(quote.signature.signature.any.hashAlg);
  if (hash == nullptr) return EngineVerdict::kUnsupported;
  const Result<Bytes> hashed = Digest(*hash, {quote.message});
  if (!hashed) return hashed.error();
  TPM2B_DIGEST digest{};
  digest.size = static_cast<UINT16>(hashed.value().size());
  std::ranges::copy(hashed.value(), digest.buffer);
  TPM2B_PUBLIC area{};
  area.publicArea = quote.aik;

  const TssEsys& tss = connection_.tss();
  TransientObject key(connection_);
  TSS2_RC rc = connection_.Check(tss.Esys_LoadExternal(connection_.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                                       nullptr, &area, ESYS_TR_RH_NULL, key.out()));
  if (rc != TSS2_RC_SUCCESS) {
    if (const auto verdict = VerdictOf(rc)) return *verdict;
    return connection_.Fail("The TPM could not load the AIK", rc);
  }
  TPMT_TK_VERIFIED* ticket = nullptr;
  rc = connection_.Check(tss.Esys_VerifySignature(connection_.esys(), key.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                                                  ESYS_TR_NONE, &digest, &quote.signature, &ticket));
  const auto owned = connection_.Own(ticket);
  if (rc == TSS2_RC_SUCCESS) return EngineVerdict::kValid;
  if (const auto verdict = VerdictOf(rc)) return *verdict;
  return connection_.Fail("The TPM could not verify the signature", rc);
}

}  // namespace nomyo
