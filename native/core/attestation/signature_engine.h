// SignatureEngine: whoever says whether the AIK signed the quote. Our libcrypto always does; a TPM may say it as well.
#pragma once

#include <string_view>

#include <openssl/evp.h>
#include <tss2/tss2_tpm2_types.h>

#include "core/result.h"
#include "core/tpm/hash_algorithm.h"

namespace nomyo {

enum class EngineVerdict {
  kValid,
  kInvalid,
  kUnsupported,  // the engine does not know this kind of key, scheme or hash
};

// SignedQuote is what an engine judges; views and references live for the call. Before any engine is asked, the checks
// AIK_TYPE to SIGNATURE_SCHEME hold: the key is sound, restricted, and its scheme is the signature's.
struct SignedQuote {
  ByteView public_area;             // TPMT_PUBLIC as received, without the size of TPM2B_PUBLIC
  const TPMT_PUBLIC& aik;           // the same, unmarshalled
  EVP_PKEY* key;                    // the same, as our libcrypto's key; borrowed
  ByteView message;                 // TPMS_ATTEST as received: what is signed
  const TPMT_SIGNATURE& signature;  // unmarshalled
  // Our libcrypto's check, set up for `key` and exactly this signature's scheme and hash, to be duplicated, since
  // several threads may look at it; null where there is none.
  const EVP_PKEY_CTX* prepared = nullptr;
};

class SignatureEngine {
 public:
  virtual ~SignatureEngine() = default;

  // Verify judges one signature. An error (kTpm, kTssMissing) means that the engine could not be asked; the caller then
  // has no verdict. May block. One thread at a time.
  virtual Result<EngineVerdict> Verify(const SignedQuote& quote) = 0;
};

}  // namespace nomyo
