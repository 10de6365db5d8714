// OfflineEngine: checks the quote's signature with our own libcrypto.
#pragma once

#include "core/attestation/signature_engine.h"
#include "core/crypto/openssl_types.h"

namespace nomyo {

class OfflineEngine final : public SignatureEngine {
 public:
  // Verify accepts RSASSA-PKCS1-v1_5, RSASSA-PSS (salt of any length that fits: TPMs differ) and ECDSA, RFC 8017 8.1.2
  // and 8.2.2, FIPS 186-5 6.4.2, with exactly the hash that the signature names. RSA signatures have the modulus'
  // length; r and s of ECDSA have 1 to the curve's bytes. Never kUnsupported. Errors: kCrypto, kMemoryLock,
  // kOutOfMemory. Any thread.
  Result<EngineVerdict> Verify(const SignedQuote& quote) override;

  // Prepare sets up the check of signatures of `key` with a scheme and a hash, as SignedQuote::prepared has it: half of
  // what a check takes beside its arithmetic. Null where the two do not fit the key. Errors: kCrypto,
  // kMemoryLock, kOutOfMemory. Any thread.
  static Result<EvpPkeyCtx> Prepare(EVP_PKEY* key, TPM2_ALG_ID scheme, TPM2_ALG_ID hash);
};

}  // namespace nomyo
