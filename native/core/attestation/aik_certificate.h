// The AIK's certificate: who says that this key lives in a TPM.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "core/crypto/openssl_types.h"
#include "core/result.h"
#include "core/tpm/hash_algorithm.h"

namespace nomyo {

// VerifyAikCertificate checks `chain` (DER; the AIK's certificate first, then the issuers in any order) against
// `roots`, which are self-signed: path, signatures and validity now, or at `at` in unix seconds (RFC 5280 6), at
// OpenSSL's security level 2 (no SHA-1, no RSA under 2048 bits); the first is no CA and says so (`CA:FALSE`), may sign,
// has the extended key usage tcg-kp-AIKCertificate (2.23.133.8.3), and certifies exactly `aik`. An endorsement key's
// certificate fails: it says nothing about an AIK. Revocation is not looked up: the verifier makes no connections.
// Errors: kInvalidArgument with a sentence; kCrypto, kMemoryLock, kOutOfMemory. Any thread.
Status VerifyAikCertificate(std::span<const Bytes> chain, std::span<const X509Certificate> roots, EVP_PKEY* aik,
                            std::optional<std::int64_t> at = std::nullopt);

}  // namespace nomyo
