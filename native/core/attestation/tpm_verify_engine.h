// TpmVerifyEngine: the second opinion on a signature, a TPM's.
#pragma once

#include "core/attestation/signature_engine.h"
#include "core/tpm/connection.h"

namespace nomyo {

// Loads the AIK's public area into the null hierarchy and has the TPM verify (TPM2_LoadExternal, TPM2_VerifySignature;
// Part 3, 12.3 and 20.1). What a TPM checks is little: it takes SHA-1, RSA-1024, unrestricted keys, and a scheme other
// than the key's. So it is asked last, and never alone. The key is flushed in every case.
class TpmVerifyEngine final : public SignatureEngine {
 public:
  // The connection must outlive the engine, and is on the thread that it is for.
  explicit TpmVerifyEngine(TpmConnection& connection) : connection_(connection) {}

  // Verify is kUnsupported for a key, curve, scheme or hash that this TPM does not have. Errors: kTpm; kCrypto,
  // kMemoryLock, kOutOfMemory. Blocks, on the connection's thread.
  Result<EngineVerdict> Verify(const SignedQuote& quote) override;

 private:
  TpmConnection& connection_;
};

}  // namespace nomyo
