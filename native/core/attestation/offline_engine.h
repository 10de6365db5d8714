// OfflineEngine: checks the quote's signature with our own libcrypto.
#pragma once

#include "core/attestation/signature_engine.h"

namespace nomyo {

class OfflineEngine final : public SignatureEngine {
 public:
  // Verify accepts RSASSA-PKCS1-v1_5, RSASSA-PSS (salt of any length that fits: TPMs differ) and ECDSA, RFC 8017 8.1.2
  // and 8.2.2, FIPS 186-5 6.4.2, with exactly the hash that the signature names. RSA signatures have the modulus'
  // length; r and s of ECDSA have 1 to the curve's bytes. Never kUnsupported. Errors: kCrypto, kMemoryLock,
  // kOutOfMemory. Any thread.
  Result<EngineVerdict> Verify(const SignedQuote& quote) override;
};

}  // namespace nomyo
