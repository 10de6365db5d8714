// HMAC-SHA-256 (FIPS 198-1, RFC 2104): a digest that nobody can compute, or try guesses on, without its key.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "core/crypto/openssl_types.h"
#include "core/crypto/sha256.h"
#include "core/result.h"

namespace nomyo {

// HmacSha256 takes data piece by piece. Key and state are in the pool, under the Locking of the thread that calls
// Start; the destructor wipes them. One thread at a time; any thread. Errors of all functions: kCrypto (of Start also
// for a key of no byte), kMemoryLock, kOutOfMemory.
class HmacSha256 {
 public:
  // Start copies `key`, of at least one byte.
  static Result<HmacSha256> Start(std::span<const std::uint8_t> key);

  // Update appends `data`. After an error the object is good for nothing but destruction.
  Status Update(std::span<const std::uint8_t> data);

  // Finish returns the digest; the object cannot be used afterwards.
  Result<std::array<std::uint8_t, kSha256Bytes>> Finish();

 private:
  explicit HmacSha256(EvpMacCtx context) : context_(std::move(context)) {}

  EvpMacCtx context_;
};

}  // namespace nomyo
